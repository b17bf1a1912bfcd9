"""The command: its options, and which kind of evaluation it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tumorseg.cli.evaluate.wanted import Wanted
from tumorseg.cli.options import Device, Json, Weights

_FILES = "What is written"
_CLICKS = "Models that answer clicks"


def evaluate(
    data: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            show_default=False,
            help="Labelled patients (kaggle_3m folders, NIfTI images with masks), or for models that find single "
            "objects annotated pictures (VIA, COCO, Pascal VOC, class folders with masks).",
        ),
    ],
    model: Annotated[
        str | None,
        typer.Argument(metavar="MODEL", show_default=False, help="A name from tumorseg models; else the best."),
    ] = None,
    subset: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only these of the split: validation, test or train.")
    ] = None,
    patients: Annotated[
        list[str] | None, typer.Option("--patient", metavar="ID", help="Only this patient or picture (repeat).")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="The split; else the one of the weights, or the shipped one."),
    ] = None,
    format: Annotated[
        str | None, typer.Option(metavar="NAME", help="Format of annotated pictures, where it is not recognised.")
    ] = None,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Leave out pictures whose annotation is unusable, and say which.")
    ] = False,
    csv: Annotated[
        Path | None,
        typer.Option("--csv", metavar="PATH", help="A line for each patient or picture.", rich_help_panel=_FILES),
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option(metavar="PATH", help="The summary as a Markdown table.", rich_help_panel=_FILES)
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", help="One HTML page to look at: figures, curves, every picture.", rich_help_panel=_FILES
        ),
    ] = None,
    figures: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="A sheet for each patient (found tinted, truth outlined) or picture (truth beside found).",
            rich_help_panel=_FILES,
        ),
    ] = None,
    panels: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Five panels for each slice: image, true mask, predicted mask, image with each.",
            rich_help_panel=_FILES,
        ),
    ] = None,
    predictions: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="A table image_path, predicted_mask, has_mask, a line for each slice; masks as PNG beside it.",
            rich_help_panel=_FILES,
        ),
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The result for [bold]make tables[/bold].", rich_help_panel=_FILES),
    ] = None,
    interactive: Annotated[
        bool,
        typer.Option(
            "--interactive",
            help="Let a simulated person click; on the validation patients where no others are named "
            "(--subset all: everybody).",
            rich_help_panel=_CLICKS,
        ),
    ] = False,
    clicks: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="The person gives up after so many.", rich_help_panel=_CLICKS)
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What the person begins with: auto (its own proposal) or nothing.",
            rich_help_panel=_CLICKS,
        ),
    ] = None,
    noisy: Annotated[
        int | None,
        typer.Option(min=0, metavar="PIXELS", help="The hand misses by up to so many.", rich_help_panel=_CLICKS),
    ] = None,
    weights: Weights = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Measure a model on labelled data, beside what others published.

    [bold]Models that mark voxels[/bold]: Dice over all slices of a patient together, and slice by slice; a slice
    without tumour in which anything is marked is a false-positive slice. [bold]Models that find single objects[/bold]:
    mAP, precision, recall, F1, IoU and Dice on annotated pictures. [bold]gate[/bold]: AUC over slices.
    [bold]Models that answer clicks[/bold]: Dice by number of clicks of a simulated person, and clicks to a Dice of
    0.85 and of 0.90 (20 at most). Every figure has a bootstrap 95 % interval by patient, or by picture where no patient
    is known.

    [bold]Examples[/bold]

        tumorseg evaluate --data kaggle_3m --subset validation

        tumorseg evaluate maskrcnn_brain --data via_folder --report brain.html

        tumorseg evaluate gate --data kaggle_3m --json

        tumorseg evaluate clicks --interactive --data kaggle_3m
    """
    from tumorseg.models.base import DetectionModel
    from tumorseg.registry import CLASSIFIERS, INTERACTIVE, load_classifier, load_interactive, load_model

    wanted = Wanted(
        model=model,
        data=data,
        subset=subset,
        patients=tuple(patients or ()),
        split=split,
        csv=csv,
        markdown=markdown,
        figures=figures,
        panels=panels,
        predictions=predictions,
        report=report,
        store=store,
        format=format,
        keep_going=keep_going,
        weights=weights,
        device=device,
        as_json=as_json,
        clicks=clicks,
        start=start,
        noisy=noisy,
    )
    wanted.check()
    if interactive or model in INTERACTIVE:
        from tumorseg.cli.evaluate.clicks import MODEL, evaluate_clicks

        evaluate_clicks(load_interactive(model or MODEL, weights=weights, device=device), wanted)
        return
    wanted.refuse("answers no clicks", "clicks", "start", "noisy")
    if model in CLASSIFIERS:
        from tumorseg.cli.evaluate.slices import evaluate_slices

        evaluate_slices(load_classifier(model, weights=weights, device=device), wanted)
        return
    network = load_model(model, weights=weights, device=device)
    if isinstance(network, DetectionModel):
        from tumorseg.cli.evaluate.pictures import evaluate_pictures

        evaluate_pictures(network, wanted)
    else:
        from tumorseg.cli.evaluate.volumes import evaluate_volumes

        evaluate_volumes(network, wanted)
