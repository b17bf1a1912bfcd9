"""``tumorseg publish``: the weights of a run become the served ones, when they are better."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from tumorseg.cli.console import print_json, progress
from tumorseg.cli.options import Device, Json


def publish(
    model: Annotated[str, typer.Argument(metavar="MODEL", show_default=False, help="A name from tumorseg models.")],
    run: Annotated[
        Path, typer.Option(metavar="DIR", show_default=False, help="Folder that tumorseg train wrote; see its --out.")
    ],
    data: Annotated[
        Path, typer.Option(metavar="DIR", show_default=False, help="Labelled patients in the kaggle_3m layout.")
    ],
    force: Annotated[bool, typer.Option("--force", help="Even when the served weights measure better.")] = False,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Measure a run on its held-out patients and, when it beats the served weights, put it in their place.

    The model card with the measured table is written beside the weights.

    [bold]Example[/bold]

        tumorseg publish resunet25d --run runs/resunet25d --data kaggle_3m
    """
    with progress(f"measuring {model}:") as step:
        done = 0

        def count(patient: str) -> None:
            nonlocal done
            done += 1
            step(done, done + 1, patient)

        card, weights = _put(model, run, data, device=device, force=force, progress=count)
    if as_json:
        print_json({"model": model, "weights": str(weights), "measured": card["measured"]})
        return
    for subset, figures in card["measured"].items():
        typer.echo(f"{subset}: {_headline(figures)}")
    typer.echo(f"{weights} written, with its card beside it")


def _put(model: str, run: Path, data: Path, **options: Any) -> tuple[Mapping[str, Any], Path]:
    """Publish a model of any kind; return its card, and where its weights are."""
    from tumorseg.interactive.clicks.model import NAME as CLICKS
    from tumorseg.models.detector import DetectorSpec
    from tumorseg.models.slicewise import WEIGHTS
    from tumorseg.training.run import trainable

    if model == CLICKS:
        from tumorseg.evaluation.interactive.publish import publish_clicks

        return publish_clicks(run, data, **options), WEIGHTS / f"{CLICKS}.safetensors"
    spec = trainable(model)
    if isinstance(spec, DetectorSpec):
        from tumorseg.evaluation.detection.publish import publish_detector

        return publish_detector(spec, run, data, **options), spec.weights
    from tumorseg.evaluation.publish import publish as put

    result = put(model, run, data, **options)
    return result.card, result.weights


def _headline(figures: Mapping[str, Any]) -> str:
    if "map50" in figures:
        return f"mAP@0.5 {figures['map50']:.3f}, mean Dice {figures['dice_mean']:.3f} on {figures['images']} pictures"
    if "dice_after" in figures:
        after = ", ".join(f"{dice:.3f} after {n}" for n, dice in figures["dice_after"].items())
        return f"mean Dice {after} clicks on {figures['patients']} patients"
    if "auc" in figures:
        return f"AUC {figures['auc']:.3f} on {figures['slices']} slices of {figures['patients']} patients"
    return f"mean Dice {figures['dice_mean']:.3f} on {figures['patients']} patients"
