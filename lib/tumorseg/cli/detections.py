"""What ``tumorseg predict`` asks of models that find single objects, and tells of what they found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tumorseg.errors import InputError

if TYPE_CHECKING:
    from tumorseg.models.base import Model, Progress
    from tumorseg.models.lesions import Lesion
    from tumorseg.types import Prediction, StudyImage

_PANEL = "Models that find single objects"


def _option(text: str, metavar: str = "P") -> Any:
    return typer.Option(help=text, metavar=metavar, rich_help_panel=_PANEL, show_default=False)


Boxes = Annotated[
    Path | None,
    _option("Where the boxes go: .mrk.json (markups of 3D Slicer), .json or .csv.", "PATH"),
]
Score = Annotated[float | None, _option("Drop what is less certain, 0 to 1.")]
Nms = Annotated[float | None, _option("Of two boxes of a slice with a higher IoU keep the more certain one, 0 to 1.")]
Link = Annotated[float | None, _option("Masks of neighbouring slices from this IoU on are one lesion, 0 to 1.")]
MinSlices = Annotated[int | None, _option("Drop a lesion of a volume that is seen in fewer slices.", "N")]
MaxInstances = Annotated[int | None, _option("Keep so many of a slice, the most certain ones.", "N")]


def finder(model: Model, boxes: Path | None, asked: Mapping[str, Any]) -> Callable[[StudyImage, Progress], Prediction]:
    """Return how to ask ``model``, with the thresholds that were given.

    Raises:
        InputError: boxes or thresholds for a model that has none, or a threshold out of its range.
    """
    from tumorseg.models.base import DetectionModel

    given = {name: value for name, value in asked.items() if value is not None}
    if isinstance(model, DetectionModel):
        detector, options = model, model.options.with_values(**given)
        return lambda image, step: detector.predict(image, progress=step, options=options)
    if boxes is not None:
        raise InputError(f"--boxes needs a model that finds single objects; {model.name} segments only")
    if given:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise InputError(f"{names}: for models that find single objects; {model.name} segments only")
    return lambda image, step: model.predict(image, progress=step)


def lesions_of(answer: Prediction, image: StudyImage) -> tuple[Lesion, ...] | None:
    """Measure what was found; None for a model that finds no single objects."""
    if answer.detections is None:
        return None
    from tumorseg.models.lesions import measure

    return measure(answer.detections, spacing_known=image.spacing_known, placed=image.placed)


def described(lesion: Lesion) -> str:
    """Say one lesion in a line."""
    first, last = (lesion.slices[0] + 1, lesion.slices[-1] + 1) if lesion.slices else (0, 0)
    where = f"slice {first}" if first == last else f"slices {first} to {last}"
    size = f"{lesion.voxels} pixels" if lesion.volume_ml is None else f"{lesion.volume_ml:.2f} mL"
    if lesion.longest_diameter_mm is not None:
        size += f", longest diameter {lesion.longest_diameter_mm:.1f} mm"
    return f"{lesion.label}, score {lesion.score:.2f}: {size}, {where}"
