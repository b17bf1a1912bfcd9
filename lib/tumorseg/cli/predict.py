"""``tumorseg predict``: one study in, its tumour out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tumorseg.cli.console import note, print_json, progress
from tumorseg.cli.detections import (
    Boxes,
    Link,
    MaxInstances,
    MinSlices,
    Nms,
    Score,
    described,
    finder,
    lesions_of,
)
from tumorseg.cli.options import Device, Json, Weights
from tumorseg.errors import InputError

if TYPE_CHECKING:
    from tumorseg.geometry import Grid
    from tumorseg.models.lesions import Lesion
    from tumorseg.types import Prediction, Segmentation, StudyImage


def predict(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUT", show_default=False, help="A study folder, a DICOM series, or a NIfTI, NRRD or picture."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="PATH",
            show_default=False,
            help="Where the mask goes: .nii.gz, .nii, .nrrd, .seg.nrrd (3D Slicer) or .png (a sheet to look at).",
        ),
    ] = None,
    boxes: Boxes = None,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", metavar="NAME", help="A name from [bold]tumorseg models[/bold]; else the best."),
    ] = None,
    weights: Weights = None,
    device: Device = "auto",
    reference: Annotated[
        str | None,
        typer.Option(metavar="UID", help="SeriesInstanceUID of the DICOM series whose grid the mask shall have."),
    ] = None,
    min_probability: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, metavar="P", help="Mark voxels from this probability on, not the model's own."),
    ] = None,
    score: Score = None,
    nms: Nms = None,
    link: Link = None,
    min_slices: MinSlices = None,
    max_instances: MaxInstances = None,
    as_json: Json = False,
) -> None:
    """Segment one study, or find what is in it, and write masks and boxes on the grid of the input.

    The series of a DICOM study are told apart by how they were scanned and put onto one grid; several files are taken
    as parts of one study. Nothing is written when something is wrong.

    [bold]Examples[/bold]

    [dim]A folder with all series of a study, as NIfTI:[/dim]

        tumorseg predict STUDY_FOLDER --out tumour.nii.gz

    [dim]For 3D Slicer, with name and colour:[/dim]

        tumorseg predict FLAIR.nii.gz --out tumour.seg.nrrd

    [dim]The boxes that a detection model finds, for 3D Slicer; sure ones only:[/dim]

        tumorseg predict STUDY_FOLDER --model maskrcnn_brain --boxes lesions.mrk.json --score 0.8

    [dim]A picture to look at:[/dim]

        tumorseg predict STUDY_FOLDER --out tumour.png
    """
    from tumorseg.io.write import write_segmentation
    from tumorseg.models.findings import write_findings
    from tumorseg.models.regrid import on_grid, regrid
    from tumorseg.registry import load_model

    _check_outputs(inputs, out, boxes)
    network = load_model(model, weights=weights, device=device)
    asked = {"score": score, "nms": nms, "link": link, "min_slices": min_slices, "max_instances": max_instances}
    find = finder(network, boxes, asked)
    image, shown_grid = _read(inputs, network.channels, reference)
    with progress(f"{network.name}:") as step:
        answer = find(image, lambda done, total: step(done, total, f"slice {done} of {total}"))
    if shown_grid is not None:
        image, answer = on_grid(image, shown_grid), regrid(answer, shown_grid)
    found = answer.segmentation
    if min_probability is not None:
        found = _cut(found, min_probability, network.name)
    # The sheet shows what the model was told too: its notes contain those of the image.
    shown = replace(image, notes=answer.notes)
    if out is not None:
        write_segmentation(out, found, shown, caption=f"{answer.model} {answer.version}")
    lesions = lesions_of(answer, image)
    if boxes is not None and lesions is not None:
        about = {"input": [str(path) for path in inputs], "model": answer.model, "version": answer.version}
        write_findings(boxes, lesions, **about, notes=list(answer.notes))
    written = [path for path in (out, boxes) if path is not None]
    _report(inputs, answer, found, image, written, as_json, lesions)


def _check_outputs(inputs: list[Path], out: Path | None, boxes: Path | None) -> None:
    """Refuse what cannot be written, or would overwrite the input, before any work is done."""
    from tumorseg.io.write import check_output
    from tumorseg.models import findings

    if out is None and boxes is None:
        raise InputError("expected --out FILE for the mask or --boxes FILE for the boxes, got neither: name one")
    if out is not None:
        check_output(out)
    if boxes is not None:
        findings.check_output(boxes)
    for name, target in (("--out", out), ("--boxes", boxes)):
        for path in inputs:
            if target is not None and path.exists() and target.exists() and path.samefile(target):
                raise InputError(f"{name} {target} is the input itself; name another file")


def _read(inputs: list[Path], channels: tuple[str, ...], reference: str | None) -> tuple[StudyImage, Grid | None]:
    """Read the study, and the grid of the reference series where one was named."""
    from tumorseg.dicom.headers import scan
    from tumorseg.dicom.study import read_displayed
    from tumorseg.io import read_study

    with progress("reading"):
        series = scan(inputs).series if reference is not None and all(path.exists() for path in inputs) else ()
        if reference is not None and series:
            return read_displayed(series, reference, channels=channels)
        return read_study(inputs[0] if len(inputs) == 1 else inputs, channels=channels, reference=reference), None


def _cut(found: Segmentation, threshold: float, model: str) -> Segmentation:
    """Cut the probability again, at the user's threshold."""
    if found.probability is None or len(found.labels) != 1:
        raise InputError(f"--min-probability needs a model with one label that says how sure it is; {model} does not")
    (value,) = found.labels.values()
    return replace(found, voxels=(found.probability >= threshold).astype(found.voxels.dtype) * value)


def _report(
    inputs: list[Path],
    answer: Prediction,
    found: Segmentation,
    image: StudyImage,
    written: list[Path],
    as_json: bool,
    lesions: tuple[Lesion, ...] | None,
) -> None:
    result = _numbers(found, image)
    if as_json:
        from tumorseg.models.findings import as_json as lesion_json

        about = {"input": [str(path) for path in inputs], "out": str(written[0]), "files": [str(p) for p in written]}
        seconds = {name: round(value, 3) for name, value in answer.latencies.items()}
        told: dict[str, Any] = {"model": answer.model, "version": answer.version, **result}
        single = {} if lesions is None else {"detections": [lesion_json(lesion) for lesion in lesions]}
        print_json(about | told | single | {"notes": list(answer.notes), "seconds": seconds})
        return
    for text in answer.notes:
        note(f"note: {text}")
    why = "a picture has no volume" if image.spacing_known else "no spacing in the file"
    size = f"{result['voxels']} pixels ({why})" if result["volume_ml"] is None else f"{result['volume_ml']} mL"
    where = f"in {result['slices_touched']} of {result['slices']} slices"
    typer.echo(f"tumour: {size}, {where}" if result["voxels"] else "no tumour found")
    for lesion in lesions or ():
        typer.echo(f"  {described(lesion)}")
    for path in written:
        typer.echo(f"{path} written ({answer.model} {answer.version})")


def _numbers(found: Segmentation, image: StudyImage) -> dict[str, Any]:
    import numpy as np

    def volume(voxels: int) -> float | None:
        return round(voxels * image.grid.voxel_volume / 1000, 2) if image.spacing_known and image.placed else None

    labels = {name: int(np.count_nonzero(found.voxels == value)) for name, value in found.labels.items()}
    total = int(np.count_nonzero(found.voxels))
    return {
        "voxels": total,
        "volume_ml": volume(total),
        "slices": found.grid.shape[0],
        "slices_touched": int(np.count_nonzero(found.voxels.any(axis=(1, 2)))),
        "labels": {name: {"voxels": count, "volume_ml": volume(count)} for name, count in labels.items()},
        "channels": list(image.channels),
    }
