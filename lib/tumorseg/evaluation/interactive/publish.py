"""From a finished training of the click head to served weights: clicked, better than what ships, and a card."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tumorseg.errors import InputError, NotFoundError
from tumorseg.evaluation.card import DATA, LICENCE, LIMITS, data_lines, head_lines
from tumorseg.evaluation.interactive.figures import summarise
from tumorseg.evaluation.interactive.measure import evaluate_clicks
from tumorseg.evaluation.interactive.tables import report_json
from tumorseg.evaluation.shipping import require_better, ship
from tumorseg.interactive.clicks.model import NAME, TRUNK_KEY, ClickModel
from tumorseg.io.kaggle_3m import Case, Kaggle3m
from tumorseg.models.metadata import read_metadata
from tumorseg.models.slicewise import WEIGHTS

SUBSETS = ("validation", "test")
#: Clicks after which two heads are compared, and what the card calls that.
DECIDING_CLICKS, DECIDING = 3, "dice_after_3"
#: Clicks of the measurement; NoC of the card goes no further.
CLICKS = 20


def publish_clicks(
    run: Path,
    data: Path,
    *,
    device: str = "auto",
    force: bool = False,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Click the held-out patients of a run and make its weights the shipped ones; return their card.

    Raises:
        NotFoundError: the run holds no weights.
        InputError: the run held nobody out, or the shipped weights are better on the validation patients; nothing is
            written.
    """
    candidate, shipped = run / f"{NAME}.safetensors", WEIGHTS / f"{NAME}.safetensors"
    if not candidate.is_file():
        raise NotFoundError(f"no {candidate.name} in {run}: let tumorseg train {NAME} finish first")
    config, split = (json.loads((run / f"{name}.json").read_text()) for name in ("config", "split"))
    if not any(split[name] for name in SUBSETS):
        raise InputError(f"expected patients in {run} that the run held out, got none: train on a split with some")
    history = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    model = ClickModel(candidate, device)
    measured = {name: _measure(model, Kaggle3m(data, split[name]), progress) for name in SUBSETS if split[name]}
    if not force:
        require_better(shipped, measured, split, deciding=DECIDING, of="patients")
    card = _card(model, config, split, history, measured)
    ship(shipped, candidate, card, _page(card))
    return card


def _measure(model: ClickModel, cases: Kaggle3m, progress: Callable[[str], None] | None) -> dict[str, Any]:
    def told(case: Case, _: object) -> None:
        if progress:
            progress(case.id)

    report = evaluate_clicks(model, cases, clicks=CLICKS, watch=told)
    figures = report_json(report, summarise(report))
    return {**figures, DECIDING: figures["dice_after"][str(DECIDING_CLICKS)]}


def _card(
    model: ClickModel,
    config: Mapping[str, Any],
    split: Mapping[str, Any],
    history: list[dict[str, Any]],
    measured: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    run = f"runs/{NAME}"
    return {
        "model": NAME,
        "version": model.version,
        "description": model.description,
        "licence": LICENCE,
        "data": DATA,
        "limits": LIMITS,
        "trunk": read_metadata(model.weights)[TRUNK_KEY],
        "channels": list(model.channels),
        "labels": dict(model.labels),
        "commands": [
            f"tumorseg train {NAME} --data kaggle_3m --threads 1 --out {run}",
            f"tumorseg publish {NAME} --run {run} --data kaggle_3m",
        ],
        "training": {
            "patients": len(split["train"]),
            "epochs": len(history),
            "minutes": history[-1]["minutes"],
            **{name: config[name] for name in ("batches", "rounds", "stages", "blind")},
        },
        "held_out": {name: list(split[name]) for name in SUBSETS},
        "measured": measured,
    }


def _page(card: Mapping[str, Any]) -> str:
    """Return the card for people."""
    training = card["training"]
    lines = [
        *head_lines(card, f", on `resunet25d` `{card['trunk']}`"),
        "Volume Dice per patient on the image's own grid, clicked by the simulated person from the automatic mask on",
        "(largest error, deepest voxel); bootstrap 95 % intervals over patients. The length of the training was fixed",
        "beforehand: no patient chose these weights. The automatic mask is that of `resunet25d`, whose training the",
        "validation patients stopped; the test patients chose nothing.",
        "",
        *_table(card["measured"]),
        "",
        *data_lines(card),
        f"{training['epochs']} epochs of {training['batches']} batches with {training['rounds']} simulated clicks "
        f"each, {training['minutes']:.0f} minutes.",
        "",
        "## Limits",
        "",
        card["limits"],
        "",
    ]
    return "\n".join(lines)


def _table(measured: Mapping[str, Mapping[str, Any]]) -> list[str]:
    after = [n for n in next(iter(measured.values()))["dice_after"] if int(n) <= 10]
    head = ["", "patients", *(f"Dice after {n}" for n in after), "NoC@0.85", "NoC@0.90"]
    rows = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for subset, m in measured.items():
        cells = [f"{m['dice_after'][n]:.3f} {_bounds(m['dice_after_ci'][n], 3)}" for n in after]
        noc = [f"{m[name]:.1f} {_bounds(m[f'{name}_ci'], 1)}" for name in ("noc85", "noc90")]
        rows.append(f"| {' | '.join([f'**{subset}**', str(m['patients']), *cells, *noc])} |")
    return rows


def _bounds(interval: list[float], digits: int) -> str:
    return f"[{interval[0]:.{digits}f}, {interval[1]:.{digits}f}]"
