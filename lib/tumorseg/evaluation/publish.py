"""From a finished run to weights that are served: measured, better than what is served now, written whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tumorseg.errors import NotFoundError
from tumorseg.evaluation.card import card_markdown, make_card
from tumorseg.evaluation.evaluate import evaluate
from tumorseg.evaluation.gate.measure import evaluate_gate
from tumorseg.evaluation.gate.tables import report_json as gate_json
from tumorseg.evaluation.shipping import require_better, ship
from tumorseg.evaluation.tables import report_json
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
        require_better(spec.weights, measured, split, deciding=_deciding(network), of="patients")
    card = make_card(spec, network.version, config, split, history, measured) | _beside(network)
    ship(spec.weights, candidate, card, card_markdown(card))
    return Published(spec.weights, card)


def _measure(network: Any, cases: Kaggle3m, progress: Callable[[str], None] | None) -> dict[str, Any]:
    def told(case: Case, *_: object) -> None:
        if progress:
            progress(case.id)

    if isinstance(network, SliceClassifier):
        return gate_json(evaluate_gate(network, cases, progress=told))
    return report_json(evaluate(network, cases, progress=told))


def _deciding(network: Any) -> str:
    """Name the figure that decides between two runs."""
    return "auc" if isinstance(network, SliceClassifier) else "dice_mean"


def _beside(network: Any) -> dict[str, Any]:
    """What the card says of a classifier or of a model of two stages, and of no other."""
    if isinstance(network, SliceClassifier):
        return {"threshold": network.threshold}
    if isinstance(network, Cascade):
        return {"stages": {stage.name: stage.version for stage in (network.gate, network.marker)}}
    return {}
