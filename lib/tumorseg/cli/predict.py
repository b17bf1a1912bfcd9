"""``tumorseg predict``: one study in, its tumour out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tumorseg.cli.console import note, print_json, progress
from tumorseg.cli.options import Device, Json, Weights
from tumorseg.errors import InputError

if TYPE_CHECKING:
    from tumorseg.geometry import Grid
    from tumorseg.types import Prediction, Segmentation, StudyImage


def predict(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUT", show_default=False, help="A study folder, a DICOM series, or a NIfTI, NRRD or picture."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            metavar="PATH",
            show_default=False,
            help="Where the mask goes: .nii.gz, .nii, .nrrd, .seg.nrrd (3D Slicer) or .png (a sheet to look at).",
        ),
    ],
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
    as_json: Json = False,
) -> None:
    """Segment one study and write the mask, voxel for voxel on the grid of the input.

    The series of a DICOM study are told apart by how they were scanned and put onto one grid; several files are taken
    as parts of one study. Nothing is written when something is wrong.

    [bold]Examples[/bold]

    [dim]A folder with all series of a study, as NIfTI:[/dim]

        tumorseg predict STUDY_FOLDER --out tumour.nii.gz

    [dim]For 3D Slicer, with name and colour:[/dim]

        tumorseg predict FLAIR.nii.gz --out tumour.seg.nrrd

    [dim]A picture to look at:[/dim]

        tumorseg predict STUDY_FOLDER --out tumour.png
    """
    from tumorseg.io.write import check_output, write_segmentation
    from tumorseg.models.regrid import on_grid, regrid
    from tumorseg.registry import load_model

    check_output(out)
    for path in inputs:
        if path.exists() and out.exists() and path.samefile(out):
            raise InputError(f"--out {out} is the input itself; name another file")
    network = load_model(model, weights=weights, device=device)
    image, shown_grid = _read(inputs, network.channels, reference)
    with progress(f"{network.name}:") as step:
        answer = network.predict(image, progress=lambda done, total: step(done, total, f"slice {done} of {total}"))
    if shown_grid is not None:
        image, answer = on_grid(image, shown_grid), regrid(answer, shown_grid)
    found = answer.segmentation
    if min_probability is not None:
        found = _cut(found, min_probability, network.name)
    # The sheet shows what the model was told too: its notes contain those of the image.
    shown = replace(image, notes=answer.notes)
    write_segmentation(out, found, shown, caption=f"{answer.model} {answer.version}")
    _report(inputs, answer, found, image, out, as_json)


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
    inputs: list[Path], answer: Prediction, found: Segmentation, image: StudyImage, out: Path, as_json: bool
) -> None:
    result = _numbers(found, image)
    if as_json:
        about = {"input": [str(path) for path in inputs], "out": str(out)}
        seconds = {name: round(value, 3) for name, value in answer.latencies.items()}
        told: dict[str, Any] = {"model": answer.model, "version": answer.version, **result}
        print_json(about | told | {"notes": list(answer.notes), "seconds": seconds})
        return
    for text in answer.notes:
        note(f"note: {text}")
    size = f"{result['volume_ml']} mL" if image.spacing_known else f"{result['voxels']} pixels (no spacing in the file)"
    where = f"in {result['slices_touched']} of {result['slices']} slices"
    typer.echo(f"tumour: {size}, {where}" if result["voxels"] else "no tumour found")
    typer.echo(f"{out} written ({answer.model} {answer.version})")


def _numbers(found: Segmentation, image: StudyImage) -> dict[str, Any]:
    import numpy as np

    def volume(voxels: int) -> float | None:
        return round(voxels * image.grid.voxel_volume / 1000, 2) if image.spacing_known else None

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
