"""The part of ``tumorseg train`` that is about detectors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tumorseg.cli.console import note, print_json, progress
from tumorseg.errors import InputError

if TYPE_CHECKING:
    from tumorseg.models.detector import DetectorSpec


@dataclass(frozen=True)
class DetectorChoice:
    """The options of the command, as they came."""

    split: str | None
    steps: int | None
    batch: int | None
    learning_rate: float | None
    init: str | None
    backbone: str | None
    also: Path | None
    blend: float | None
    resume: bool
    seed: int
    threads: int | None
    device: str


def refuse(**options: Any) -> None:
    """Say which options mean nothing here instead of passing over them."""
    given = [f"--{name}" for name, value in options.items() if value is not None]
    if given:
        raise InputError(f"{' and '.join(given)} cannot be given for this model; see tumorseg train --help")


def train_pictures(spec: DetectorSpec, data: Path, folder: Path, choice: DetectorChoice, as_json: bool) -> None:
    """Train a detector and say what came of it."""
    from tumorseg.training.detection.run import DetectionRun, configure, train_detector

    options = DetectionRun(
        split=choice.split,
        steps=choice.steps,
        batch=choice.batch,
        learning_rate=choice.learning_rate,
        seed=choice.seed,
        threads=choice.threads,
        device=choice.device,
        start=choice.init or "imagenet",
        backbone=choice.backbone,
        also=choice.also,
        blend=1.0 if choice.blend is None else choice.blend,
        resume=choice.resume,
    )
    total = configure(spec, data, options).steps
    with progress(f"training {spec.name}") as step:

        def report(row: dict[str, float]) -> None:
            parts = "  ".join(f"{name} {value:.3f}" for name, value in row.items() if name not in ("step", "minutes"))
            note(f"step {row['step']:.0f} of {total}  {row['minutes']:.1f} min  loss: {parts}")
            step(row["step"], total, f"step {row['step']:.0f} of {total}")

        weights = train_detector(spec, data, folder, options, report)
    if as_json:
        print_json({"model": spec.name, "weights": str(weights), "steps": total})
        return
    typer.echo(f"{weights} written. Measure it:")
    typer.echo(f"  tumorseg evaluate {spec.name} --weights {weights} --data {data} --subset validation")
