"""Who found what: detections are given to annotated objects, one each, the most certain first.

As in Everingham et al., The Pascal VOC challenge, IJCV 2010, section 4.2 and Lin et al., Microsoft COCO, ECCV 2014:
within a class and an image, from the highest score down, a detection takes the free object it overlaps most, if the
IoU reaches the threshold. A second detection of the same object finds nothing and is a false positive.

What decides ties: among equal scores the detection that comes first in ``found``; among equal overlaps the object that
comes last in ``truth`` (as COCO's evaluation does).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorseg.metrics.detection.iou import Kind, areas, overlaps
from tumorseg.metrics.detection.records import ImageResult, all_labels

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: An IoU threshold of 1 is reached by equal boxes whatever the rounding.
_BELOW_ONE = 1 - 1e-10
NOTHING = -1


@dataclass(frozen=True, eq=False)
class Ranking:
    """The detections of all images in one list, the most certain first.

    Attributes:
        scores: ``(F,)`` falling.
        hit: ``(F,)`` True where the detection found an object.
        overlap: ``(F,)`` IoU with the object it found, 0 where it found none.
        image: ``(F,)`` index of its image.
        truths: ``(N,)`` annotated objects in each image.
    """

    scores: NDArray[np.float64]
    hit: NDArray[np.bool_]
    overlap: NDArray[np.float64]
    image: NDArray[np.int64]
    truths: NDArray[np.int64]

    @property
    def images(self) -> int:
        """Number of images, also those without any object."""
        return int(self.truths.size)

    def above(self, score: float) -> Ranking:
        """Return only the detections with at least this score. Who found what stays: it was decided from above."""
        kept = self.scores >= score
        return Ranking(self.scores[kept], self.hit[kept], self.overlap[kept], self.image[kept], self.truths)


@dataclass(frozen=True, eq=False)
class Candidates:
    """Detections and annotated objects of one class in one image, detections from the highest score down.

    Attributes:
        scores: ``(F,)``.
        overlap: ``(F, T)`` IoU.
        found_area: ``(F,)`` in pixels.
        truth_area: ``(T,)`` in pixels: of the mask where there is one, else of the box.
    """

    scores: NDArray[np.float64]
    overlap: NDArray[np.float64]
    found_area: NDArray[np.float64]
    truth_area: NDArray[np.float64]


def rank(results: Sequence[ImageResult], *, iou: float = 0.5, kind: Kind = "box", label: str | None = None) -> Ranking:
    """Match the detections of every image and put them into one list.

    Args:
        results: any number of images; those without object count too, for their false positives.
        iou: least overlap of a detection with what it found.
        kind: overlap of boxes or of masks.
        label: only this class; None matches each class by itself and puts all of them together.
    """
    labels = all_labels(results) if label is None else [label]
    parts = [rank_candidates(candidates(results, name, kind), iou) for name in labels]
    return merge(parts) if parts else rank_candidates(candidates(results, "", kind), iou)


def candidates(results: Sequence[ImageResult], label: str, kind: Kind) -> list[Candidates]:
    """Return what there is to match of one class: overlaps are measured once for any number of thresholds."""
    return [_candidates(image, label, kind) for image in results]


def rank_candidates(
    images: Sequence[Candidates],
    iou: float,
    *,
    most: int | None = None,
    area: tuple[float, float] | None = None,
) -> Ranking:
    """Match at one IoU.

    Args:
        images: from :func:`candidates`.
        iou: least overlap of a detection with what it found.
        most: only so many detections of each image, the most certain.
        area: only objects of this area (both ends included, pixels) count. Detections that find another object, and
            those outside the range that find nothing, count neither as right nor as wrong (Lin et al. 2014).
    """
    low, high = area if area is not None else (-np.inf, np.inf)
    parts: list[tuple[NDArray[Any], ...]] = []
    truths = np.zeros(len(images), np.int64)
    for index, image in enumerate(images):
        scores, table, found_area = image.scores[:most], image.overlap[:most], image.found_area[:most]
        ignored = (image.truth_area < low) | (image.truth_area > high)
        taken = match(table, iou, ignored)
        hit = taken != NOTHING
        outside = (found_area < low) | (found_area > high)
        # Index -1 reads an arbitrary column there; `hit` decides first.
        counts = ~(ignored[taken] if ignored.size else np.zeros_like(hit))
        counts = np.where(hit, counts, ~outside)
        best = np.where(hit, table[np.arange(len(table)), taken] if table.size else 0.0, 0.0)
        truths[index] = np.count_nonzero(~ignored)
        parts.append((scores[counts], hit[counts], best[counts], np.full(int(counts.sum()), index, np.int64)))
    return _sorted(parts, truths)


def match(overlap: NDArray[np.float64], iou: float, ignored: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
    """Give each detection the object it found.

    Args:
        overlap: ``(F, T)`` IoU, detections from the most certain down.
        iou: least overlap.
        ignored: ``(T,)`` objects that are only taken where no other can be.

    Returns:
        ``(F,)`` index of the object, -1 for none. No object is given twice.
    """
    found, truths = overlap.shape
    least = min(iou, _BELOW_ONE)
    second = np.zeros(truths, bool) if ignored is None else ignored
    free = np.ones(truths, bool)
    result = np.full(found, NOTHING, np.int64)
    for row in range(found):
        possible = free & (overlap[row] >= least)
        wanted = possible & ~second if (possible & ~second).any() else possible
        if wanted.any():
            # The last of equals: argmax of the reversed row.
            result[row] = truths - 1 - int(np.argmax(np.where(wanted, overlap[row], -1.0)[::-1]))
            free[result[row]] = False
    return result


def merge(rankings: Sequence[Ranking]) -> Ranking:
    """Put the rankings of several classes of the same images together."""
    parts = [(r.scores, r.hit, r.overlap, r.image) for r in rankings]
    return _sorted(parts, np.sum([r.truths for r in rankings], axis=0))


def _candidates(image: ImageResult, label: str, kind: Kind) -> Candidates:
    truth = [item for item in image.truth if item.label == label]
    # sorted() is stable: among equal scores the order of `found` stays.
    found = sorted((item for item in image.found if item.label == label), key=lambda item: -item.score)
    boxes = areas(image, truth, "box")
    return Candidates(
        scores=np.array([item.score for item in found], dtype=np.float64),
        overlap=overlaps(image, found, truth, kind),
        found_area=areas(image, found, kind),
        truth_area=np.array(
            [box if item.mask is None else np.count_nonzero(item.mask) for item, box in zip(truth, boxes, strict=True)],
            dtype=np.float64,
        ),
    )


def _sorted(parts: Sequence[tuple[NDArray[Any], ...]], truths: NDArray[Any]) -> Ranking:
    if not parts:
        return Ranking(np.zeros(0), np.zeros(0, bool), np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.int64))
    scores, hit, overlap, image = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(-scores, kind="stable")
    return Ranking(scores[order], hit[order].astype(bool), overlap[order], image[order], truths.astype(np.int64))
