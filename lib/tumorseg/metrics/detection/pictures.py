"""A picture as a whole: Dice of all masks together, and silence on pictures without lesion."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import nan
from typing import TYPE_CHECKING

import numpy as np

from tumorseg.metrics.detection.iou import masks_of
from tumorseg.metrics.detection.records import Found, ImageResult, Truth
from tumorseg.metrics.pair import Pair

if TYPE_CHECKING:
    from numpy.typing import NDArray


def union(result: ImageResult, score: float) -> Pair:
    """Return all annotated masks as one and all masks detected with at least this score as one.

    Where two masks of a picture overlap, a pixel counts once. A picture becomes a volume of one slice.

    Raises:
        InputError: an object has no mask.
    """
    kept = [item for item in result.found if item.score >= score]
    return Pair(_union(result, result.truth), _union(result, kept))


def picture_dice(results: Iterable[ImageResult], score: float) -> NDArray[np.float64]:
    """Return ``(N,)`` the Dice of the united masks of each picture; NaN for pictures without lesion.

    Pictures without lesion are what :func:`specificity` is about: with a Dice of 0 or 1 they would drown the others.
    """
    values = []
    for result in results:
        pair = union(result, score)
        values.append(2 * pair.both / (pair.true + pair.marked) if pair.true else nan)
    return np.array(values, dtype=np.float64)


def silent(results: Sequence[ImageResult], score: float) -> NDArray[np.float64]:
    """Return ``(N,)`` 1 where a picture without lesion got no detection, 0 where it did; NaN with lesion."""
    marked = np.array([any(item.score >= score for item in result.found) for result in results], dtype=bool)
    return np.where([bool(result.truth) for result in results], nan, (~marked).astype(np.float64))


def specificity(results: Sequence[ImageResult], score: float) -> float:
    """Return the part of pictures without lesion on which nothing is detected; NaN when all have one."""
    values = silent(results, score)
    return float(np.nanmean(values)) if np.isfinite(values).any() else nan


def _union(result: ImageResult, items: Sequence[Found | Truth]) -> NDArray[np.bool_]:
    mask = np.zeros(result.size, bool)
    for one in masks_of(items, result):
        mask |= one
    return mask[None] if mask.ndim == 2 else mask
