"""The figures of a detector over many pictures, with bootstrap intervals by patient (by picture where none is known).

AP is all-point interpolated at an IoU of 0.5; precision, recall, F1 and the IoU of what was found are taken at the
operating threshold and an IoU of 0.5, class by class, all pictures together. ``…_lesion`` asks only whether there is a
lesion, whatever its class. Dice is of all masks of a picture together, over the pictures with a lesion.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING

import numpy as np

from tumorseg.errors import InputError
from tumorseg.evaluation.detection.examine import Examined
from tumorseg.evaluation.report import Interval
from tumorseg.metrics.detection.average_precision import average_precisions, mean_average_precisions
from tumorseg.metrics.detection.coco import THRESHOLDS, coco_average_precisions
from tumorseg.metrics.detection.counts import (
    BACKGROUND,
    ConfusionMatrix,
    Counts,
    counts,
    f1s,
    matched_ious,
    precisions,
    recalls,
)
from tumorseg.metrics.detection.froc import cpms
from tumorseg.metrics.detection.matching import NOTHING, Ranking, match, merge, rank_candidates
from tumorseg.metrics.patients import Statistic, interval_by_patient, weighted_mean

if TYPE_CHECKING:
    from numpy.typing import NDArray

IOU = 0.5
SEED = 20190218


@dataclass(frozen=True, eq=False)
class DetectionReport:
    """One detector on one set of pictures.

    Attributes:
        model: registry name.
        version: of the weights.
        labels: the model's classes.
        score: operating threshold.
        pictures: one entry each.
        figures: name -> value with its interval; NaN where it is not defined.
        ap50: the same of the AP of each annotated class.
        counts: right, wrong and missed at the threshold, class by class.
        lesion_counts: the same whatever the class.
        confusion: annotated as against detected as.
        left_out: pictures that nobody annotated.
    """

    model: str
    version: str
    labels: tuple[str, ...]
    score: float
    pictures: tuple[Examined, ...]
    figures: Mapping[str, Interval]
    ap50: Mapping[str, Interval]
    counts: Counts
    lesion_counts: Counts
    confusion: ConfusionMatrix
    left_out: int = 0

    @property
    def distinct_figures(self) -> Mapping[str, Interval]:
        """The figures without those that say the same twice where there is one class only."""
        if len(self.labels) > 1:
            return self.figures
        return {name: figure for name, figure in self.figures.items() if not name.endswith("_lesion")}

    @property
    def without_lesion(self) -> int:
        """Pictures on which nothing is annotated."""
        return sum(not picture.truth_labels for picture in self.pictures)

    @property
    def false_alarm_pictures(self) -> int:
        """Pictures of those on which something is detected."""
        return sum(not picture.truth_labels and bool((picture.scores >= self.score).any()) for picture in self.pictures)

    @property
    def patients(self) -> int | None:
        """How many patients, None where that is not known of every picture."""
        known = [picture.patient for picture in self.pictures]
        return None if None in known else len(set(known))


def summarise(
    model: str,
    version: str,
    labels: Sequence[str],
    score: float,
    pictures: Sequence[Examined],
    *,
    left_out: int = 0,
    seed: int = SEED,
) -> DetectionReport:
    """Put the pictures together.

    Raises:
        InputError: not one picture.
    """
    if not pictures:
        raise InputError(f"expected at least one annotated picture, got none ({left_out} that nobody annotated)")
    boxes, masks = _statistics(pictures, score, masks=False), {}
    if all(picture.mask_iou is not None for picture in pictures):
        masks = {f"mask_{name}": statistic for name, statistic in _statistics(pictures, score, masks=True).items()}
    lesion = ranking(pictures, None)
    statistics = {
        "map50": boxes["map50"],
        "mask_map50": masks.get("mask_map50", _undefined),
        "iou_matched": boxes["iou_matched"],
        "precision": boxes["precision"],
        "recall": boxes["recall"],
        "f1": boxes["f1"],
        "ap50_lesion": lambda w: average_precisions(lesion, w),
        "dice_mean": weighted_mean(np.array([picture.dice for picture in pictures])),
        "mask_iou_matched": masks.get("mask_iou_matched", _undefined),
        "precision_lesion": lambda w: precisions(lesion, w, score),
        "recall_lesion": lambda w: recalls(lesion, w, score),
        "specificity": weighted_mean(_silent(pictures, score)),
        "coco_map": boxes["coco_map"],
        "mask_coco_map": masks.get("mask_coco_map", _undefined),
        "froc_cpm": lambda w: cpms(lesion, w),
    }
    classes = {name: ranking(pictures, name) for name in annotated(pictures)}
    ap50 = {name: _average_precision_of(one) for name, one in classes.items()}
    measure = _Measure([picture.cluster for picture in pictures], seed)
    return DetectionReport(
        model=model,
        version=version,
        labels=tuple(labels),
        score=score,
        pictures=tuple(pictures),
        figures={name: measure(statistic) for name, statistic in statistics.items()},
        ap50={name: measure(statistic) for name, statistic in ap50.items()},
        counts=counts(_all_classes(pictures), score),
        lesion_counts=counts(lesion, score),
        confusion=confusion(pictures, labels, score),
        left_out=left_out,
    )


def annotated(pictures: Sequence[Examined]) -> list[str]:
    """Return the classes that are annotated anywhere, sorted."""
    return sorted({label for picture in pictures for label in picture.truth_labels})


def ranking(pictures: Sequence[Examined], label: str | None, *, iou: float = IOU, masks: bool = False) -> Ranking:
    """Match one class (all as one for None) in every picture."""
    return rank_candidates([picture.candidates(label, masks=masks) for picture in pictures], iou)


def confusion(pictures: Sequence[Examined], labels: Sequence[str], score: float, iou: float = IOU) -> ConfusionMatrix:
    """Match boxes of at least this score to objects of whatever class, and count the classes."""
    names = (*labels, BACKGROUND)
    index = {name: number for number, name in enumerate(names)}
    table = np.zeros((len(names), len(names)), np.int64)
    for picture in pictures:
        kept = [f for f in np.argsort(-picture.scores, kind="stable") if picture.scores[f] >= score]
        taken = match(picture.box_iou[kept], iou)
        for f, truth in zip(kept, taken, strict=True):
            was = BACKGROUND if truth == NOTHING else picture.truth_labels[truth]
            table[index[was], index[picture.found_labels[f]]] += 1
        for missed in set(range(len(picture.truth_labels))) - set(taken.tolist()):
            table[index[picture.truth_labels[missed]], -1] += 1
    return ConfusionMatrix(names, table)


def _all_classes(pictures: Sequence[Examined], *, masks: bool = False) -> Ranking:
    """Match each class by itself and put all of them together."""
    seen = {label for picture in pictures for label in (*picture.truth_labels, *picture.found_labels)}
    return merge([ranking(pictures, name, masks=masks) for name in sorted(seen)] or [ranking(pictures, None)])


def _statistics(pictures: Sequence[Examined], score: float, *, masks: bool) -> dict[str, Statistic]:
    together = _all_classes(pictures, masks=masks)
    classes = {name: ranking(pictures, name, masks=masks) for name in annotated(pictures)}
    coco = [[ranking(pictures, name, iou=iou, masks=masks) for iou in THRESHOLDS] for name in classes]
    return {
        "map50": lambda w: mean_average_precisions(classes, w),
        "iou_matched": lambda w: matched_ious(together, w, score),
        "precision": lambda w: precisions(together, w, score),
        "recall": lambda w: recalls(together, w, score),
        "f1": lambda w: f1s(together, w, score),
        "coco_map": lambda w: coco_average_precisions(coco, w),
    }


def _average_precision_of(one: Ranking) -> Statistic:
    return lambda weights: average_precisions(one, weights)


def _silent(pictures: Sequence[Examined], score: float) -> NDArray[np.float64]:
    """Return ``(N,)`` 1 where a picture without lesion got no detection, 0 where it did; NaN with lesion."""
    marked = np.array([bool((picture.scores >= score).any()) for picture in pictures])
    return np.where([bool(picture.truth_labels) for picture in pictures], nan, (~marked).astype(np.float64))


def _undefined(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.full(len(weights), nan)


class _Measure:
    """A statistic's value over all pictures, and its interval; every one from the same resamples."""

    def __init__(self, clusters: Sequence[str], seed: int) -> None:
        self.clusters, self.seed = clusters, seed

    def __call__(self, statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Interval:
        value = float(statistic(np.ones((1, len(self.clusters))))[0])
        if not np.isfinite(value):
            return Interval(nan, nan, nan)
        low, high = interval_by_patient(statistic, self.clusters, np.random.default_rng(self.seed))
        return Interval(value, low, high)
