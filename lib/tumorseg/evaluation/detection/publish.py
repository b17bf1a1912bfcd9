"""From a finished run of a detector to weights that are served: measured, with their card."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tumorseg.annotations import open_pictures
from tumorseg.errors import InputError, NotFoundError
from tumorseg.evaluation.detection.examine import examine_pictures
from tumorseg.evaluation.detection.figures import summarise
from tumorseg.evaluation.detection.tables import report_json
from tumorseg.evaluation.shipping import require_better, ship
from tumorseg.models.detector import DetectorModel, DetectorSpec

SUBSETS = ("validation", "test")
#: What decides between two runs, on the same validation pictures.
DECIDING = "map50"
#: Figures of the card's table: key of the report, heading.
SHOWN = (
    ("map50", "mAP@0.5"),
    ("mask_map50", "mask mAP@0.5"),
    ("ap50_lesion", "lesion AP@0.5"),
    ("iou_matched", "IoU of matched boxes"),
    ("precision", "precision"),
    ("recall", "recall"),
    ("f1", "F1"),
    ("dice_mean", "Dice"),
)
START = "The backbone started from EfficientNet-Lite0 trained on ImageNet (Apache-2.0)."
#: What a run may have had besides, in words.
ALSO = {"also": "Mixed in", "blend": "Kept"}
RESEARCH = "Research use only; not a medical device."
#: What a reader must know of the data and the limits of each model; a model of one's own says so itself.
TEXTS: dict[str, dict[str, str]] = {
    "maskrcnn_brain": {
        "licence": "research only, non-commercial: the pictures' licence is not stated, LGG is CC BY-NC-SA 4.0",
        "data": "Pictures of mixed planes and MR sequences from the web with VIA polygons (ruslan-kl/brain-tumor, no "
        "licence stated; not distributed here), after a first training on the slices of the LGG MRI segmentation "
        "data set (Buda et al. 2019, CC BY-NC-SA 4.0), training patients only, which were mixed in again at the end: "
        "trained on pictures alone, all of which show a tumour, it found one in most slices of a volume. How much of "
        f"that last training is kept was chosen on the validation pictures and on the sample patient. {START}",
        "limits": f"{RESEARCH} Some labels of the pictures are wrong, patients are not known and may be on both sides "
        "of the split. One class: metastases, meningiomas and gliomas are all tumour. It sees single slices.",
    },
    "maskrcnn_breast": {
        "licence": "research only, non-commercial: BUSI is CC0 in one place and under other terms elsewhere, LGG is CC "
        "BY-NC-SA 4.0",
        "data": "Breast ultrasound images of BUSI (Al-Dhabyani et al. 2020; not distributed here), one of every group "
        "of near-duplicates, after a first training on the slices of the LGG MRI segmentation data set (Buda et al. "
        f"2019, CC BY-NC-SA 4.0). {START}",
        "limits": f"{RESEARCH} One hospital, two machines, women of 25 to 75 years; patients are not known and may be "
        "on both sides of the split. Benign or malignant is what a pathologist says, not a picture.",
    },
}


def publish_detector(
    spec: DetectorSpec,
    run: Path,
    data: Path,
    *,
    device: str = "auto",
    force: bool = False,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Measure the weights of a run on its held-out pictures, make them the shipped ones, and return their card.

    Raises:
        NotFoundError: the run holds no weights.
        InputError: the shipped weights are better on the same validation pictures; nothing is written.
    """
    candidate = run / f"{spec.name}.safetensors"
    if not candidate.is_file():
        raise NotFoundError(f"no {candidate.name} in {run}: let tumorseg train finish first")
    config, split = (json.loads((run / f"{name}.json").read_text()) for name in ("config", "split"))
    history = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    model = DetectorModel(spec, candidate, device)
    measured = {name: _measure(model, data, split[name], progress) for name in SUBSETS if split[name]}
    if not force:
        require_better(spec.weights, measured, split, deciding=DECIDING, of="pictures")
    card = {
        "model": spec.name,
        "version": model.version,
        "description": spec.description,
        **TEXTS.get(spec.name, {"licence": "that of your data", "data": str(data), "limits": RESEARCH}),
        "labels": dict(spec.labels),
        "training": {
            "pictures": len(split["train"]),
            "steps": config["steps"],
            "batch": config["batch"],
            "backbone": config["backbone"],
            "started_from": config["started_from"],
            "minutes": history[-1]["minutes"],
            **{name: config[name] for name in ALSO if name in config},
        },
        "score": spec.options.score,
        "held_out": {name: split[name] for name in SUBSETS},
        "measured": measured,
    }
    ship(spec.weights, candidate, card, detector_markdown(card))
    return card


def detector_markdown(card: Mapping[str, Any]) -> str:
    """Return the card as a page."""
    training = card["training"]
    subsets = ", ".join(f"{len(ids)} {name}" for name, ids in card["held_out"].items())
    return "\n".join(
        [
            f"# {card['model']}",
            "",
            f"{card['description']}. Version `{card['version']}`.",
            "",
            f"**Licence of the weights: {card['licence']}.**",
            "",
            "## Measured",
            "",
            f"Precision, recall, F1, IoU and Dice at a score of {card['score']:g}; bootstrap 95 % intervals over "
            "pictures. The validation pictures chose thresholds, the test pictures chose nothing.",
            "",
            *_table(card["measured"]),
            "",
            "## Data",
            "",
            card["data"],
            "",
            f"{training['pictures']} pictures trained; held out: {subsets} (ids in the JSON beside this).",
            "",
            "## Training",
            "",
            f"Mask R-CNN on `{training['backbone']}`, {training['steps']} batches of {training['batch']} pictures, "
            f"{training['minutes']:.0f} minutes, starting from: {training['started_from']}."
            + "".join(f" {what}: {training[name]}." for name, what in ALSO.items() if name in training),
            "",
            "## Limits",
            "",
            card["limits"],
            "",
        ]
    )


def _measure(
    model: DetectorModel, data: Path, ids: Sequence[str], progress: Callable[[str], None] | None
) -> dict[str, Any]:
    wanted = set(ids)
    pictures = [picture for picture in open_pictures(data, keep_going=True) if picture.id in wanted]
    if len(pictures) < len(wanted):
        raise InputError(f"only {len(pictures)} of the run's {len(wanted)} held-out pictures are in {data}")
    watch = (lambda picture, result, examined: progress(picture.id)) if progress else None
    examined = examine_pictures(model, pictures, watch=watch)
    return report_json(summarise(model.name, model.version, tuple(model.labels), model.options.score, examined))


def _table(measured: Mapping[str, Mapping[str, Any]]) -> list[str]:
    head = "| | pictures | " + " | ".join(heading for _, heading in SHOWN) + " |"
    rows = [head, "|---" * (len(SHOWN) + 2) + "|"]
    for subset, figures in measured.items():
        cells = [_cell(figures.get(key), figures.get(f"{key}_ci")) for key, _ in SHOWN]
        rows.append(f"| **{subset}** | {figures['images']} | " + " | ".join(cells) + " |")
    return rows


def _cell(value: float | None, interval: Sequence[float | None] | None) -> str:
    if value is None:
        return "–"
    low, high = interval or (None, None)
    return f"{value:.3f}" if low is None or high is None else f"{value:.3f} [{low:.3f}, {high:.3f}]"
