"""Right, wrong and missed at one score and one IoU: precision, recall, F1, IoU of what was found, confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING

import numpy as np

from tumorseg.errors import InputError
from tumorseg.metrics.detection.iou import Kind, overlaps
from tumorseg.metrics.detection.matching import NOTHING, Ranking, match
from tumorseg.metrics.detection.records import ImageResult, all_labels

if TYPE_CHECKING:
    from numpy.typing import NDArray

BACKGROUND = "background"


@dataclass(frozen=True)
class Counts:
    """How many detections were right, how many wrong, and how many objects were missed."""

    true_positives: int
    false_positives: int
    false_negatives: int

    @property
    def precision(self) -> float:
        """Part of the detections that are right; NaN when nothing was detected."""
        found = self.true_positives + self.false_positives
        return self.true_positives / found if found else nan

    @property
    def recall(self) -> float:
        """Part of the objects that were found; NaN when there are none."""
        truths = self.true_positives + self.false_negatives
        return self.true_positives / truths if truths else nan

    @property
    def f1(self) -> float:
        """Harmonic mean of both, 2 TP / (2 TP + FP + FN); NaN when there is nothing and nothing was detected."""
        total = 2 * self.true_positives + self.false_positives + self.false_negatives
        return 2 * self.true_positives / total if total else nan


def counts(ranking: Ranking, score: float) -> Counts:
    """Count the detections with at least this score, over all images and over whatever classes are in the ranking."""
    kept = ranking.above(score)
    right = int(kept.hit.sum())
    return Counts(right, int(kept.hit.size) - right, int(kept.truths.sum()) - right)


def counts_by_image(ranking: Ranking, score: float) -> list[Counts]:
    """Return the same for each image."""
    kept = ranking.above(score)
    right = np.bincount(kept.image[kept.hit], minlength=kept.images)
    wrong = np.bincount(kept.image[~kept.hit], minlength=kept.images)
    return [
        Counts(int(r), int(w), int(t - r)) for r, w, t in zip(right[: kept.images], wrong, kept.truths, strict=True)
    ]


def precisions(ranking: Ranking, weights: NDArray[np.float64], score: float) -> NDArray[np.float64]:
    """Return ``(R,)`` the precision of each resample; ``weights`` ``(R, N)`` say how often each image was drawn."""
    right, found, _ = _drawn(ranking, weights, score)
    return _ratio(right, found)


def recalls(ranking: Ranking, weights: NDArray[np.float64], score: float) -> NDArray[np.float64]:
    """Return ``(R,)`` the recall of each resample; NaN where no object was drawn."""
    right, _, truths = _drawn(ranking, weights, score)
    return _ratio(right, truths)


def f1s(ranking: Ranking, weights: NDArray[np.float64], score: float) -> NDArray[np.float64]:
    """Return ``(R,)`` the F1 of each resample."""
    right, found, truths = _drawn(ranking, weights, score)
    return _ratio(2 * right, found + truths)


def matched_iou(ranking: Ranking, score: float) -> float:
    """Return the mean IoU of the detections with at least this score and the objects they found; NaN without any."""
    return float(matched_ious(ranking, np.ones((1, ranking.images)), score)[0])


def matched_ious(ranking: Ranking, weights: NDArray[np.float64], score: float) -> NDArray[np.float64]:
    """Return ``(R,)`` the mean IoU of the matched pairs of each resample."""
    kept = ranking.above(score)
    drawn = weights[:, kept.image] * kept.hit
    return _ratio(drawn @ kept.overlap, drawn.sum(axis=1))


@dataclass(frozen=True, eq=False)
class ConfusionMatrix:
    """Which class was found as which.

    Attributes:
        labels: the classes, and ``background`` as the last.
        counts: ``(L, L)`` rows: annotated as, columns: detected as. The last row are detections where nothing is
            annotated, the last column objects that were missed; the corner of both is 0.
    """

    labels: tuple[str, ...]
    counts: NDArray[np.int64]


def confusion_matrix(
    results: Sequence[ImageResult],
    *,
    score: float,
    iou: float = 0.5,
    kind: Kind = "box",
    labels: Sequence[str] | None = None,
) -> ConfusionMatrix:
    """Match detections with at least this score to objects of whatever class, and count the classes.

    Args:
        results: any number of images.
        score: least score.
        iou: least overlap.
        kind: overlap of boxes or of masks.
        labels: the classes in the order of rows and columns; those that occur, sorted, for None.

    Raises:
        InputError: an object has a class that is not in ``labels``, or a class is called ``background``.
    """
    names = tuple(all_labels(results) if labels is None else labels)
    unknown = set(all_labels(results)) - set(names)
    if unknown or BACKGROUND in names:
        raise InputError(f"expected objects of the classes {sorted(names)}, got {sorted(unknown) or BACKGROUND}")
    index = {name: number for number, name in enumerate((*names, BACKGROUND))}
    table = np.zeros((len(index), len(index)), np.int64)
    for image in results:
        kept = sorted((item for item in image.found if item.score >= score), key=lambda item: -item.score)
        taken = match(overlaps(image, kept, image.truth, kind), iou)
        for item, truth in zip(kept, taken, strict=True):
            was = BACKGROUND if truth == NOTHING else image.truth[truth].label
            table[index[was], index[item.label]] += 1
        for number in set(range(len(image.truth))) - set(taken.tolist()):
            table[index[image.truth[number].label], -1] += 1
    return ConfusionMatrix((*names, BACKGROUND), table)


def _drawn(ranking: Ranking, weights: NDArray[np.float64], score: float) -> tuple[NDArray[np.float64], ...]:
    """Return right detections, all detections and annotated objects ``(R,)``."""
    kept = ranking.above(score)
    drawn = weights[:, kept.image]
    return (drawn * kept.hit).sum(axis=1), drawn.sum(axis=1), weights @ kept.truths


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.divide(above, below, out=np.full(np.shape(above), nan), where=below > 0))
