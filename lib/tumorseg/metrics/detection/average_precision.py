"""Average precision: the area under the interpolated precision-recall curve, at every point of it.

AP = sum over n of (r_{n+1} - r_n) * max over r~ >= r_{n+1} of p(r~)

(Everingham et al., The Pascal VOC challenge: a retrospective, IJCV 2015, as used since 2010.) The points are those of
the different scores: detections of one score are drawn together, so that the order of the images decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING

import numpy as np

from tumorseg.metrics.detection.iou import Kind
from tumorseg.metrics.detection.matching import Ranking, rank
from tumorseg.metrics.detection.records import ImageResult, true_labels

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class PrecisionRecall:
    """The curve, a point for each different score, the highest first.

    Attributes:
        scores: ``(P,)`` detections with at least this score are counted.
        precision: ``(P,)`` as measured, not interpolated.
        recall: ``(P,)`` rising; 0 where nothing was to be found.
    """

    scores: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]


def average_precision(ranking: Ranking) -> float:
    """Return the AP of one class in [0, 1]; NaN where nothing is annotated, 0 where nothing is found."""
    return float(average_precisions(ranking, np.ones((1, ranking.images)))[0])


def average_precisions(ranking: Ranking, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``(R,)`` the AP of each resample; ``weights`` ``(R, N)`` say how often each image was drawn."""
    precision, recall = _curves(ranking, weights)
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    return np.asarray((np.diff(recall, axis=1, prepend=0.0) * best).sum(axis=1) + _nan_without_truth(ranking, weights))


def precision_recall_curve(ranking: Ranking) -> PrecisionRecall:
    """Return the measured curve, for a plot."""
    precision, recall = _curves(ranking, np.ones((1, ranking.images)))
    return PrecisionRecall(ranking.scores[_last_of_score(ranking)], precision[0], recall[0])


def rank_classes(
    results: Sequence[ImageResult], *, iou: float = 0.5, kind: Kind = "box", labels: Sequence[str] | None = None
) -> dict[str, Ranking]:
    """Return a ranking for each class (those that are annotated unless named)."""
    names = true_labels(results) if labels is None else labels
    return {name: rank(results, iou=iou, kind=kind, label=name) for name in names}


def mean_average_precision(rankings: Mapping[str, Ranking]) -> float:
    """Return mAP: the mean AP of the classes that are annotated anywhere; NaN without any.

    False positives of a class that no image shows do not lower it (as in COCO): look at the confusion matrix too.
    """
    if not rankings:
        return nan
    images = next(iter(rankings.values())).images
    return float(mean_average_precisions(rankings, np.ones((1, images)))[0])


def mean_average_precisions(rankings: Mapping[str, Ranking], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``(R,)`` the mAP of each resample, over the classes that were drawn; ``weights`` as for one class."""
    values = np.array([average_precisions(ranking, weights) for ranking in rankings.values()])
    return mean_of_defined(values.reshape(len(rankings), len(weights)))


def mean_of_defined(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean along the first axis of what is not NaN; NaN where nothing is."""
    defined = np.isfinite(values)
    count = defined.sum(axis=0)
    total = np.where(defined, values, 0.0).sum(axis=0)
    return np.asarray(np.divide(total, count, out=np.full(total.shape, nan), where=count > 0))


def _curves(ranking: Ranking, weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return precision and recall ``(R, P)`` at each different score; both 0 where nothing was drawn."""
    drawn = weights[:, ranking.image]
    last = _last_of_score(ranking)
    right = np.cumsum(drawn * ranking.hit, axis=1)[:, last]
    found = np.cumsum(drawn, axis=1)[:, last]
    truths = (weights @ ranking.truths)[:, None]
    precision = np.divide(right, found, out=np.zeros_like(right), where=found > 0)
    return precision, np.divide(right, truths, out=np.zeros_like(right), where=truths > 0)


def _last_of_score(ranking: Ranking) -> NDArray[np.bool_]:
    """Return ``(F,)`` True at the last detection of each score."""
    return np.append(ranking.scores[1:] != ranking.scores[:-1], True)[: ranking.scores.size]


def _nan_without_truth(ranking: Ranking, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(weights @ ranking.truths > 0, 0.0, nan)
