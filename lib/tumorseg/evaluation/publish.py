"""From a finished run to weights that are served: measured, better than what is served now, written whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tumorseg.errors import InputError, NotFoundError
from tumorseg.evaluation.card import card_markdown, make_card
from tumorseg.evaluation.evaluate import evaluate
from tumorseg.evaluation.gate.measure import evaluate_gate
from tumorseg.evaluation.gate.tables import report_json as gate_json
from tumorseg.evaluation.tables import report_json
from tumorseg.io.files import write_atomically
from tumorseg.io.kaggle_3m import Case, Kaggle3m
from tumorseg.models.cascade import Cascade
from tumorseg.models.classifier import SliceClassifier
from tumorseg.registry import CLASSIFIERS, MODELS, resolve
from tumorseg.training.run import model_spec

SUBSETS = ("validation", "test")


@dataclass(frozen=True)
class Published:
    """Where the weights went, and their card."""

    weights: Path
    card: dict[str, Any]


def publish(
    model: str,
    run: Path,
    data: Path,
    *,
    device: str = "auto",
    force: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Published:
    """Measure the weights of a run on its held-out patients and make them the shipped ones of ``model``.

    Args:
        model: registry name.
        run: folder that ``tumorseg train`` wrote.
        data: the kaggle_3m folder with the held-out patients.
        device: where to measure.
        force: publish even when the shipped weights are better on the validation patients.
        progress: told every patient's id.

    Raises:
        NotFoundError: the run holds no weights.
        InputError: the shipped weights are better on the validation patients; nothing is written.
    """
    spec, candidate = model_spec(model), run / f"{model}.safetensors"
    if not candidate.is_file():
        raise NotFoundError(f"no {candidate.name} in {run}: let tumorseg train finish first")
    config, split = (json.loads((run / f"{name}.json").read_text()) for name in ("config", "split"))
    history = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    network = resolve(CLASSIFIERS if model in CLASSIFIERS else MODELS, "model", model)(candidate, device)
    measured = {name: _measure(network, Kaggle3m(data, split[name]), progress) for name in SUBSETS if split[name]}
    if not force:
        _check_better(spec.weights.with_suffix(".json"), measured, split)
    card = make_card(spec, network.version, config, split, history, measured) | _beside(network)
    spec.weights.parent.mkdir(exist_ok=True)
    write_atomically(spec.weights.with_suffix(".json"), (json.dumps(card, indent=1) + "\n").encode())
    write_atomically(spec.weights.with_suffix(".md"), card_markdown(card).encode())
    write_atomically(spec.weights, candidate.read_bytes())
    return Published(spec.weights, card)


def _measure(network: Any, cases: Kaggle3m, progress: Callable[[str], None] | None) -> dict[str, Any]:
    def told(case: Case, *_: object) -> None:
        if progress:
            progress(case.id)

    if isinstance(network, SliceClassifier):
        return gate_json(evaluate_gate(network, cases, progress=told))
    return report_json(evaluate(network, cases, progress=told))


def _beside(network: Any) -> dict[str, Any]:
    """What the card says of a classifier or of a model of two stages, and of no other."""
    if isinstance(network, SliceClassifier):
        return {"threshold": network.threshold}
    if isinstance(network, Cascade):
        return {"stages": {stage.name: stage.version for stage in (network.gate, network.marker)}}
    return {}


def _check_better(shipped: Path, measured: dict[str, Any], split: dict[str, Any]) -> None:
    """Compare on the same validation patients; other patients do not compare."""
    if not shipped.is_file() or "validation" not in measured:
        return
    card = json.loads(shipped.read_text())
    if card["held_out"]["validation"] != split["validation"]:
        raise InputError("the shipped weights were measured on other validation patients; use --force to replace them")
    name, deciding = ("AUC", "auc") if "auc" in measured["validation"] else ("mean validation Dice", "dice_mean")
    old, new = card["measured"]["validation"][deciding], measured["validation"][deciding]
    if new is None or (old is not None and new <= old):
        raise InputError(f"the shipped weights are better ({name} {old}, this run {new})")
