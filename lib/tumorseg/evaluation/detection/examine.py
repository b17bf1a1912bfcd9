"""A detector over annotated pictures: what was annotated, what was found, how they overlap. Pixels are then let go.

A picture goes through ``model.predict`` exactly as a viewer's request does; only the score threshold is lower, so that
the precision-recall curve has its tail. A detection above the operating threshold is the same either way: what is
less certain suppresses nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tumorseg.annotations import Picture, study_image
from tumorseg.errors import InputError
from tumorseg.metrics.detection.iou import overlaps
from tumorseg.metrics.detection.matching import Candidates
from tumorseg.metrics.detection.pictures import union
from tumorseg.metrics.detection.records import Found, ImageResult, Truth
from tumorseg.models.base import DetectionModel
from tumorseg.types import Instance

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Detections from this score on are in the curves.
CURVE_SCORE = 0.05


@dataclass(frozen=True, eq=False)
class Examined:
    """One picture without its pixels: all that the figures are made of.

    Attributes:
        image: id of the picture.
        patient: whose it is; None where nobody knows.
        truth_labels: ``T`` class names of what was annotated.
        found_labels: ``F`` class names of what was found, in the model's order.
        scores: ``(F,)``.
        box_iou: ``(F, T)``.
        mask_iou: ``(F, T)``; None where something is annotated by its box alone.
        true: pixels annotated, all objects together.
        marked: pixels found at the operating threshold, all objects together.
        both: pixels in both.
        seconds: of the prediction, without reading; NaN where not known.
    """

    image: str
    patient: str | None
    truth_labels: tuple[str, ...]
    found_labels: tuple[str, ...]
    scores: NDArray[np.float64]
    box_iou: NDArray[np.float64]
    mask_iou: NDArray[np.float64] | None
    true: int
    marked: int
    both: int
    seconds: float

    def __post_init__(self) -> None:
        expected = (len(self.found_labels), len(self.truth_labels))
        tables = [self.box_iou] if self.mask_iou is None else [self.box_iou, self.mask_iou]
        if self.scores.shape != expected[:1] or any(table.shape != expected for table in tables):
            raise InputError(
                f"{self.image}: expected scores and overlaps of {expected[0]} detections and {expected[1]} objects, "
                f"got {self.scores.shape} and {[table.shape for table in tables]}"
            )

    @property
    def cluster(self) -> str:
        """What is drawn as one in a bootstrap: the patient, or the picture where the patient is not known."""
        return f"image {self.image}" if self.patient is None else f"patient {self.patient}"

    @property
    def dice(self) -> float:
        """Dice of all masks together; NaN without anything annotated or where only boxes are."""
        if not self.truth_labels or self.mask_iou is None:
            return float("nan")
        return 2 * self.both / (self.true + self.marked) if self.true + self.marked else float("nan")

    def candidates(self, label: str | None, *, masks: bool = False) -> Candidates:
        """Return what there is to match of one class; None takes all classes as one."""
        table = self.mask_iou if masks else self.box_iou
        if table is None:
            raise InputError(f"{self.image}: something is annotated by its box alone; there is no mask to compare")
        rows = np.array([label in (None, name) for name in self.found_labels], bool)
        columns = np.array([label in (None, name) for name in self.truth_labels], bool)
        chosen, scores = table[np.ix_(rows, columns)], self.scores[rows]
        order = np.argsort(-scores, kind="stable")
        # Areas serve the size classes of COCO alone, which are not reported for single lesions.
        return Candidates(scores[order], chosen[order], np.ones(len(scores)), np.ones(int(columns.sum())))


#: Called after each picture with all its pixels, for those who draw it.
Watch = Callable[[Picture, ImageResult, Examined], None]


def examine_pictures(
    model: DetectionModel, pictures: Iterable[Picture], *, watch: Watch | None = None
) -> list[Examined]:
    """Look at every picture.

    Raises:
        InputError: a class that the model does not know, or a picture that it does not take; it names the picture.
    """
    classes = tuple(model.labels)
    examined = []
    for picture in pictures:
        result, seconds = look(model, picture, classes)
        examined.append(examine(result, model.options.score, seconds))
        if watch is not None:
            watch(picture, result, examined[-1])
    return examined


def look(model: DetectionModel, picture: Picture, classes: Sequence[str]) -> tuple[ImageResult, float]:
    """Return truth and findings of one picture, and the seconds that finding them took."""
    truth = _truth(picture, classes)
    image = study_image(picture)
    options = model.options.with_values(score=min(CURVE_SCORE, model.options.score))
    started = time.perf_counter()
    prediction = model.predict(image, options=options)
    seconds = time.perf_counter() - started
    if prediction.detections is None:
        raise InputError(f"{model.name} finds no single objects; expected a detection model")
    size = (picture.height, picture.width)
    if image.grid.shape != (1, *size):
        raise InputError(f"{picture.path} has pixels {image.grid.shape}, its annotation says {(1, *size)}")
    found = tuple(_found(instance, size) for instance in prediction.detections.instances)
    return ImageResult(picture.id, picture.patient, truth, found, size), seconds


def examine(result: ImageResult, score: float, seconds: float = float("nan")) -> Examined:
    """Measure the overlaps of one picture; ``score`` is the operating threshold, for the pixels."""
    masks = [*(item.mask for item in result.truth), *(item.mask for item in result.found)]
    whole = all(mask is not None for mask in masks)
    pair = union(result, score) if whole else None
    return Examined(
        image=result.image_id,
        patient=result.patient,
        truth_labels=tuple(item.label for item in result.truth),
        found_labels=tuple(item.label for item in result.found),
        scores=np.array([item.score for item in result.found], np.float64),
        box_iou=overlaps(result, result.found, result.truth, "box"),
        mask_iou=overlaps(result, result.found, result.truth, "mask") if whole else None,
        true=pair.true if pair else 0,
        marked=pair.marked if pair else 0,
        both=pair.both if pair else 0,
        seconds=seconds,
    )


def _truth(picture: Picture, classes: Sequence[str]) -> tuple[Truth, ...]:
    width, height = picture.width, picture.height
    objects = []
    for region in picture.regions:
        drawn = bool(region.polygons) or region.mask is not None
        box = np.clip(region.bounds(), 0, (width, height, width, height))  # an outline may leave its picture
        mask = region.bitmap(height, width) if drawn else None
        objects.append(Truth(_class(region.label, classes, picture), box, mask))
    return tuple(objects)


def _class(label: str, classes: Sequence[str], picture: Picture) -> str:
    """Return the model's name of an annotated class; a model of one class takes every object for it."""
    if len(classes) == 1:
        return classes[0]
    if label in classes:
        return label
    known = {name.casefold(): name for name in classes}
    if label.casefold() not in known:
        raise InputError(f"{picture.path}: expected one of the classes {', '.join(classes)}, got {label!r}")
    return known[label.casefold()]


def _found(instance: Instance, size: tuple[int, int]) -> Found:
    mask = np.zeros((1, *size), bool)
    mask[instance.region] = instance.mask
    i0, j0, _, i1, j1, _ = instance.box
    return Found(instance.label, instance.score, np.array([i0, j0, i1, j1]), mask[0])
