"""COCO's average precision and recall, for boxes and masks.

Lin et al., Microsoft COCO: common objects in context, ECCV 2014, and the evaluation's published definition: AP is the
mean over ten IoU thresholds from 0.50 to 0.95, over the classes, of the interpolated precision at 101 recalls; AR the
mean over thresholds and classes of the greatest recall with at most 1, 10 or 100 detections an image. Small, medium
and large are areas up to 32², up to 96² and above, in pixels of the image as it is given here. The area of an object
is that of its mask where there is one. Detections of equal score come in the order of the images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING

import numpy as np

from tumorseg.metrics.detection.average_precision import mean_of_defined
from tumorseg.metrics.detection.iou import Kind
from tumorseg.metrics.detection.matching import Candidates, Ranking, candidates, rank_candidates
from tumorseg.metrics.detection.records import ImageResult, true_labels

if TYPE_CHECKING:
    from numpy.typing import NDArray

THRESHOLDS = tuple(np.linspace(0.5, 0.95, 10).tolist())
RECALLS = np.linspace(0.0, 1.0, 101)
MOST = 100
_ALL = (0.0, 1e10)
AREAS = {"small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}


@dataclass(frozen=True)
class CocoSummary:
    """The twelve figures in [0, 1]; NaN where no object of that size is annotated."""

    ap: float
    ap50: float
    ap75: float
    ap_small: float
    ap_medium: float
    ap_large: float
    ar_1: float
    ar_10: float
    ar_100: float
    ar_small: float
    ar_medium: float
    ar_large: float


def coco_summary(results: Sequence[ImageResult], kind: Kind = "box") -> CocoSummary:
    """Return the twelve figures over the classes that are annotated.

    Raises:
        InputError: masks are asked for and an object has none.
    """
    classes = [candidates(results, label, kind) for label in true_labels(results)]
    whole = _rankings(classes)
    sizes = {name: _rankings(classes, area=area) for name, area in AREAS.items()}
    each = _precision(whole)
    return CocoSummary(
        ap=_mean(each),
        ap50=_mean(each[:, 0]),
        ap75=_mean(each[:, THRESHOLDS.index(0.75)]),
        **{f"ap_{name}": _mean(_precision(rankings)) for name, rankings in sizes.items()},
        ar_1=_mean(_recall(_rankings(classes, most=1))),
        ar_10=_mean(_recall(_rankings(classes, most=10))),
        ar_100=_mean(_recall(whole)),
        **{f"ar_{name}": _mean(_recall(rankings)) for name, rankings in sizes.items()},
    )


def coco_rankings(results: Sequence[ImageResult], kind: Kind = "box") -> list[list[Ranking]]:
    """Return for each annotated class the rankings at the ten thresholds, for :func:`coco_average_precisions`."""
    return _rankings([candidates(results, label, kind) for label in true_labels(results)])


def coco_average_precision(ranking: Ranking) -> float:
    """Return the AP at 101 recalls of one class at one threshold; NaN where nothing is annotated."""
    return float(_interpolated(ranking, np.ones((1, ranking.images)))[0])


def coco_average_precisions(rankings: Sequence[Sequence[Ranking]], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``(R,)`` COCO's AP of each resample; ``weights`` ``(R, N)`` say how often each image was drawn."""
    values = np.array([[_interpolated(ranking, weights) for ranking in row] for row in rankings])
    return mean_of_defined(values.reshape(-1, len(weights)))


def _rankings(
    classes: Sequence[Sequence[Candidates]], *, most: int = MOST, area: tuple[float, float] = _ALL
) -> list[list[Ranking]]:
    return [[rank_candidates(images, iou, most=most, area=area) for iou in THRESHOLDS] for images in classes]


def _interpolated(ranking: Ranking, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    drawn = weights[:, ranking.image]
    right = np.cumsum(drawn * ranking.hit, axis=1)
    found = np.cumsum(drawn, axis=1)
    precision = np.divide(right, found, out=np.zeros_like(right), where=found > 0)
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    truths = weights @ ranking.truths
    values = np.full(len(weights), nan)
    for row in np.flatnonzero(truths > 0):
        first = np.searchsorted(right[row] / truths[row], RECALLS, side="left")
        values[row] = np.append(best[row], 0.0)[first].mean()
    return values


def _precision(rankings: Sequence[Sequence[Ranking]]) -> NDArray[np.float64]:
    """Return ``(classes, thresholds)``."""
    values = [[coco_average_precision(ranking) for ranking in row] for row in rankings]
    return np.array(values, dtype=np.float64).reshape(-1, len(THRESHOLDS))


def _recall(rankings: Sequence[Sequence[Ranking]]) -> NDArray[np.float64]:
    """Return ``(classes, thresholds)``."""
    values = [[r.hit.sum() / r.truths.sum() if r.truths.sum() else nan for r in row] for row in rankings]
    return np.array(values, dtype=np.float64).reshape(-1, len(THRESHOLDS))


def _mean(values: NDArray[np.float64]) -> float:
    return float(mean_of_defined(values.ravel()))
