"""Model cards: what a file of weights is, for machines (JSON) and for people (Markdown), from the same facts.

After Mitchell et al. 2019, "Model cards for model reporting".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tumorseg.evaluation.published import published
from tumorseg.models.slicewise import SlicewiseSpec

LICENCE = "CC BY-NC-SA 4.0, non-commercial"
DATA = (
    "LGG MRI segmentation (kaggle_3m): Buda, Saha, Mazurowski, Computers in Biology and Medicine 109, 2019; made from "
    "TCGA-LGG on The Cancer Imaging Archive. Published under CC BY-NC-SA 4.0, which these weights inherit: "
    "**no commercial use**."
)
LIMITS = (
    "Research use only; not a medical device. Trained on pre-operative lower-grade glioma in adults, axial slices of "
    "five institutions. It marks the FLAIR abnormality, not enhancing tumour, necrosis or oedema separately. Other "
    "tumours, other sequences, operated brains and children were not measured. A study without FLAIR is answered from "
    "what there is, with a note, and usually badly."
)

#: What a model's training started from where that was not random.
STARTS = {
    "gate": "EfficientNet-Lite0 trained on ImageNet (Tan and Le 2019; Apache-2.0)",
    "gate_resnet50": "torchvision's ResNet-50 trained on ImageNet",
    "cascade": "the shipped weights of `resunet`",
}


def make_card(
    spec: SlicewiseSpec,
    version: str,
    config: Mapping[str, Any],
    split: Mapping[str, Any],
    history: list[dict[str, Any]],
    measured: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """Return the card as plain values.

    Args:
        spec: the model.
        version: of the weights.
        config: ``config.json`` of the run; a ``note`` and the ``commands`` of one who made the run by hand are kept.
        split: ``split.json`` of the run.
        history: its epochs.
        measured: subset -> what ``tumorseg evaluate --json`` says of it.
    """
    minutes = config.get("minutes")
    budget = f" --minutes {minutes:g}" if minutes else ""
    run = f"runs/{spec.name}"
    usual = f"tumorseg train {spec.name} --data kaggle_3m{budget} --threads 1 --out {run}"
    return {
        "model": spec.name,
        "version": version,
        "description": spec.description,
        "licence": LICENCE,
        "data": DATA,
        "limits": LIMITS,
        "starts_from": STARTS.get(spec.name, "random values"),
        "channels": list(spec.channels),
        "labels": dict(spec.labels),
        "commands": [*config.get("commands", (usual,)), f"tumorseg publish {spec.name} --run {run} --data kaggle_3m"],
        "note": config.get("note", ""),
        "training": {
            "patients": len(split["train"]),
            "epochs": len(history),
            "minutes": history[-1]["minutes"] if history else None,
            "steps_per_epoch": config["steps_per_epoch"],
            "batch": config["batch"],
            "loss": config["loss"],
            "stages": config["stages"],
        },
        "held_out": {name: list(split[name]) for name in ("validation", "test")},
        "measured": measured,
    }


def card_markdown(card: Mapping[str, Any]) -> str:
    """Return the card as a page."""
    training = card["training"]
    lines = [
        *head_lines(card),
        _what(card),
        "The validation patients chose the epoch and what is done to the answer; the test patients chose nothing.",
        "",
        *_table(card["measured"]),
        "",
        *data_lines(card),
        f"{training['epochs']} epochs of {training['steps_per_epoch']} batches of {training['batch']} slices, loss "
        f"`{training['loss']}`, {training['minutes']:.0f} minutes. Inputs: {', '.join(card['channels'])}.",
        *_beside(card),
        "",
        "## Limits",
        "",
        card["limits"],
        "",
    ]
    return "\n".join(lines)


def head_lines(card: Mapping[str, Any], on: str = "") -> list[str]:
    """Return how every card begins, as far as its figures; ``on`` says what the version stands on."""
    return [
        f"# {card['model']}",
        "",
        f"{card['description']}. Version `{card['version']}`{on}.",
        "",
        f"**Licence of the weights: {card['licence']}.**",
        "",
        "## Measured",
        "",
    ]


def data_lines(card: Mapping[str, Any]) -> list[str]:
    """Return what every card says of its patients, and the commands that made the weights."""
    return [
        "## Data",
        "",
        card["data"],
        "",
        f"{card['training']['patients']} patients trained. Held out, by patient, frozen before the first training:",
        "",
        *(f"- {subset}: {', '.join(patients)}" for subset, patients in card["held_out"].items()),
        "",
        "## Training",
        "",
        *(f"    {command}" for command in card["commands"]),
        "",
    ]


def _beside(card: Mapping[str, Any]) -> list[str]:
    """What is true of some models only."""
    if card.get("note"):
        lines = [card["note"]]
    else:
        lines = [f"Started from {card['starts_from']}."] if card["model"] in STARTS else []
    if "stages" in card:
        stages = " and ".join(f"`{name}` {version}" for name, version in card["stages"].items())
        lines.append(f"Measured with both stages together: {stages}; the version above stands for both.")
    return lines


def _what(card: Mapping[str, Any]) -> str:
    if "threshold" in card:
        return (
            "All slices of all patients, bootstrap 95 % intervals over patients. A slice counts from the score "
            f"{card['threshold']:.4f} on: half of the largest that keeps 99.5 % of the tumours' volume, patient by "
            "patient, on the validation patients."
        )
    return "Volume Dice per patient (all slices together, threshold 0.5), bootstrap 95 % intervals over patients."


def _gate_table(measured: Mapping[str, Mapping[str, Any]]) -> list[str]:
    def cell(figures: Mapping[str, Any], name: str) -> str:
        low, high = figures[f"{name}_ci"]
        if figures[name] is None:
            return "–"
        return f"{figures[name]:.3f} [{low:.3f}, {high:.3f}]"

    head = "| | patients | slices, with tumour | AUC [95 %] | sensitivity [95 %] | specificity [95 %] |"
    rows = [head, "|---|---|---|---|---|---|"]
    for subset, m in measured.items():
        cells = " | ".join(cell(m, name) for name in ("auc", "sensitivity", "specificity"))
        rows.append(f"| **{subset}** | {m['patients']} | {m['slices']}, {m['tumour_slices']} | {cells} |")
    return rows


def _table(measured: Mapping[str, Mapping[str, Any]]) -> list[str]:
    if any("auc" in figures for figures in measured.values()):
        return _gate_table(measured)
    head = "| | patients | mean Dice [95 %] | median Dice [95 %] | false-positive / empty slices |"
    rows = [head, "|---|---|---|---|---|"]
    for subset, m in measured.items():
        mean = f"{m['dice_mean']:.3f} [{m['dice_ci'][0]:.3f}, {m['dice_ci'][1]:.3f}]"
        median = f"{m['dice_median']:.3f} [{m['dice_median_ci'][0]:.3f}, {m['dice_median_ci'][1]:.3f}]"
        slices = f"{m['false_positive_slices']} / {m['empty_slices']}"
        rows.append(f"| **{subset}** | {m['patients']} | {mean} | {median} | {slices} |")
    rows += [f"| {p.name} | {p.patients or ''} | {p.dice_mean:.3f} | | |" for p in published()]
    return rows
