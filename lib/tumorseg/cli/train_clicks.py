"""The part of ``tumorseg train`` that is about the click model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from tumorseg.cli.console import note, print_json, progress

if TYPE_CHECKING:
    from tumorseg.training.clicks.run import ClickOptions


def train_the_clicks(data: Path, folder: Path, options: ClickOptions, as_json: bool) -> None:
    """Train the head of the click model and say what came of it."""
    from tumorseg.interactive.clicks.model import NAME
    from tumorseg.training.clicks.run import train_clicks

    with progress(f"training {NAME}") as step:

        def report(row: dict[str, float]) -> None:
            gains = "  ".join(f"{name.removeprefix('gain_')}: {row[name]:+.3f}" for name in row if "gain" in name)
            note(f"epoch {row['epoch']:.0f}  {row['minutes']:.1f} min  loss {row['loss']:.4f}  Dice by click  {gains}")
            step(row["progress"], 1.0, f"loss {row['loss']:.4f}")

        weights = train_clicks(data, folder, options, report)
    if as_json:
        print_json({"model": NAME, "weights": str(weights)})
        return
    typer.echo(f"{weights} written. Measure it:")
    typer.echo(f"  tumorseg evaluate {NAME} --interactive --weights {weights} --data {data} --subset validation")
