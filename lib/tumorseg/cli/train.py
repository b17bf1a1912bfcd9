"""``tumorseg train``: a folder of labelled patients in, weights out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from tumorseg.cli.console import note, print_json, progress
from tumorseg.cli.options import Device, Json
from tumorseg.cli.train_clicks import train_the_clicks
from tumorseg.cli.train_pictures import DetectorChoice, refuse, train_pictures

#: What a run's history calls the figure beside the loss, and how it is shown.
SCORES = {"valid_dice": "Dice", "valid_auc": "AUC"}


def train(
    model: Annotated[str, typer.Argument(metavar="MODEL", show_default=False, help="A name from tumorseg models.")],
    data: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            show_default=False,
            help="Labelled patients in the kaggle_3m layout; for a detector annotated pictures (VIA, COCO, VOC, BUSI).",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="Folder of the run; else runs/MODEL.")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            show_default=False,
            help="Frozen split: lgg, brain_via, busi, a JSON file, [bold]random[/bold] to draw one by patient (or "
            "random:85/7.5/7.5, per cent that train, validate, test), or, for a detector, [bold]all[/bold]. "
            "Default: lgg for patients, random for pictures.",
        ),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Longest run in epochs; else the model's recipe.")] = None,
    steps: Annotated[int | None, typer.Option(help="Length of a detector's run in batches; else its recipe.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Time budget; the learning rate decays over it.")] = None,
    batch: Annotated[int | None, typer.Option(help="Slices in one step; else the recipe's.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak learning rate; else the recipe's.")] = None,
    init: Annotated[
        str | None,
        typer.Option(
            "--init-weights",
            "--init",
            metavar="FILE",
            show_default=False,
            help="Weights to start from: a file, none, or, for a detector, imagenet or coco; else the model's own.",
        ),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(metavar="NAME", show_default=False, help="Of a detector: lite0, resnet50 or resnet101."),
    ] = None,
    also: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", show_default=False, help="Of a detector: mix in slices of these kaggle_3m patients."
        ),
    ] = None,
    blend: Annotated[
        float | None,
        typer.Option(
            metavar="PART",
            show_default=False,
            help="Of a detector: keep this part of the new weights and fill up with those it started from.",
        ),
    ] = None,
    preprocess: Annotated[
        str | None,
        typer.Option(metavar="NAME", show_default=False, help="Contrast of every slice: clahe, equalise or none."),
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

        tumorseg train clicks --data kaggle_3m --threads 1

        tumorseg train maskrcnn_breast --data BUSI --split busi --init-weights runs/lgg/maskrcnn_brain.safetensors
    """
    from tumorseg.interactive.clicks.model import NAME as CLICKS
    from tumorseg.models.detector import DetectorSpec
    from tumorseg.training.run import TrainOptions, trainable
    from tumorseg.training.run import train as run

    folder = out or Path("runs") / model
    if model == CLICKS:
        from tumorseg.training.clicks.run import ClickOptions

        refuse(
            steps=steps, minutes=minutes, batch=batch, preprocess=preprocess, backbone=backbone, also=also, blend=blend
        )
        refuse(**{"init-weights": init})
        wanted = ClickOptions(split or "lgg", epochs, learning_rate, seed, threads, device, resume)
        train_the_clicks(data, folder, wanted, as_json)
        return
    spec = trainable(model)
    if isinstance(spec, DetectorSpec):
        refuse(epochs=epochs, minutes=minutes, preprocess=preprocess)
        chosen = DetectorChoice(
            split, steps, batch, learning_rate, init, backbone, also, blend, resume, seed, threads, device
        )
        train_pictures(spec, data, folder, chosen, as_json)
        return
    refuse(steps=steps, backbone=backbone, also=also, blend=blend)
    options = TrainOptions(
        split=split or "lgg",
        epochs=epochs,
        minutes=minutes,
        batch=batch,
        learning_rate=learning_rate,
        seed=seed,
        threads=threads,
        device=device,
        init=init,
        preprocess=preprocess or "none",
        resume=resume,
    )
    with progress(f"training {model}") as step:
        result = run(model, data, folder, options, _reporter(step))
    best = next((row for row in result.history if row["epoch"] == result.best_epoch), {})
    weights = folder / f"{model}.safetensors"
    if as_json:
        told = {"model": model, "weights": str(weights), "best_epoch": result.best_epoch, "stopped": result.stopped}
        print_json(told | {name: best[name] for name in ("valid_loss", *SCORES) if name in best})
        return
    typer.echo(f"{result.stopped}; best epoch {result.best_epoch}, validation {_score(best)}")
    typer.echo(f"{weights} written. Measure it:")
    typer.echo(f"  tumorseg evaluate {model} --weights {weights} --data {data} --subset validation")


def _reporter(step: Callable[[float, float, str], None]) -> Callable[[dict[str, float]], None]:
    def report(row: dict[str, float]) -> None:
        figures = f"train loss {row['train_loss']:.4f}  validation loss {row['valid_loss']:.4f}  {_score(row)}"
        note(f"epoch {row['epoch']:.0f}  {row['minutes']:.1f} min  {figures}")
        step(row["progress"], 1.0, _score(row))

    return report


def _score(row: Mapping[str, float]) -> str:
    return next((f"{shown} {row[name]:.4f}" for name, shown in SCORES.items() if name in row), "")
