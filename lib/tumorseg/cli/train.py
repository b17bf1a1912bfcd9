"""``tumorseg train``: a folder of labelled patients in, weights out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from tumorseg.cli.console import note, print_json, progress
from tumorseg.cli.options import Device, Json


def train(
    model: Annotated[str, typer.Argument(metavar="MODEL", show_default=False, help="A name from tumorseg models.")],
    data: Annotated[
        Path, typer.Option(metavar="DIR", show_default=False, help="Labelled patients in the kaggle_3m layout.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="Folder of the run; else runs/MODEL.")
    ] = None,
    split: Annotated[
        str, typer.Option(help="Frozen split: lgg, a JSON file, or [bold]random[/bold] to draw one by patient.")
    ] = "lgg",
    epochs: Annotated[int | None, typer.Option(help="Longest run in epochs; else the model's recipe.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Time budget; the learning rate decays over it.")] = None,
    batch: Annotated[int | None, typer.Option(help="Slices in one step; else the recipe's.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak learning rate; else the recipe's.")] = None,
    init: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Weights to start from instead of random ones.")
    ] = None,
    resume: Annotated[bool, typer.Option(help="Go on with what the folder of the run holds.")] = True,
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.")] = 0,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; else all.")] = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Train a model on labelled patients; the best weights on the validation patients are kept.

    Stopped with Ctrl-C, the same command goes on from the last epoch. The split is by patient: no patient trains and
    validates.

    [bold]Examples[/bold]

        tumorseg train resunet25d --data kaggle_3m --minutes 120

        tumorseg train resunet --data my_patients --split random --epochs 50 --out runs/ours
    """
    from tumorseg.training.run import TrainOptions
    from tumorseg.training.run import train as run

    options = TrainOptions(
        split=split,
        epochs=epochs,
        minutes=minutes,
        batch=batch,
        learning_rate=learning_rate,
        seed=seed,
        threads=threads,
        device=device,
        init=init,
        resume=resume,
    )
    folder = out or Path("runs") / model
    with progress(f"training {model}") as step:
        result = run(model, data, folder, options, _reporter(step))
    best = next((row for row in result.history if row["epoch"] == result.best_epoch), {})
    weights = folder / f"{model}.safetensors"
    if as_json:
        told = {"model": model, "weights": str(weights), "best_epoch": result.best_epoch, "stopped": result.stopped}
        print_json(told | {"valid_loss": best.get("valid_loss"), "valid_dice": best.get("valid_dice")})
        return
    typer.echo(f"{result.stopped}; best epoch {result.best_epoch}, validation Dice {best.get('valid_dice', 0):.3f}")
    typer.echo(f"{weights} written. Measure it:")
    typer.echo(f"  tumorseg evaluate {model} --weights {weights} --data {data} --subset validation")


def _reporter(step: Callable[[float, float, str], None]) -> Callable[[dict[str, float]], None]:
    def report(row: dict[str, float]) -> None:
        figures = (
            f"train loss {row['train_loss']:.4f}  validation loss {row['valid_loss']:.4f}  Dice {row['valid_dice']:.4f}"
        )
        note(f"epoch {row['epoch']:.0f}  {row['minutes']:.1f} min  {figures}")
        step(row["progress"], 1.0, f"Dice {row['valid_dice']:.3f}")

    return report
