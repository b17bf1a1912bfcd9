"""Slices one by one: those without tumour that the model marks, and Dice and IoU of each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING

import numpy as np

from tumorseg.metrics.pair import Pair

if TYPE_CHECKING:
    from numpy.typing import NDArray


def empty_slices(pair: Pair) -> int:
    """Count the slices (along k) in which the truth has no tumour."""
    return int(np.count_nonzero(~pair.truth.any(axis=(1, 2))))


def false_positive_slices(pair: Pair) -> int:
    """Count the slices (along k) without tumour in which the model marked at least one voxel."""
    return int(np.count_nonzero(~pair.truth.any(axis=(1, 2)) & pair.found.any(axis=(1, 2))))


@dataclass(frozen=True, eq=False)
class SliceOverlap:
    """Overlap of every slice (along k) by itself, ``(K,)`` each, of one patient or of many one after the other.

    A slice without tumour has Dice and IoU 1 where nothing is marked and 0 otherwise: a mean over all slices is mostly
    about them, which is why :func:`means` tells both kinds apart.

    Attributes:
        both: voxels that are tumour in the truth and in the answer.
        true: voxels of tumour in the truth.
        marked: voxels of tumour in the answer.
    """

    both: NDArray[np.int64]
    true: NDArray[np.int64]
    marked: NDArray[np.int64]

    @property
    def has_tumour(self) -> NDArray[np.bool_]:
        """``(K,)`` True where the truth shows tumour."""
        return np.asarray(self.true > 0)

    @property
    def dice(self) -> NDArray[np.float64]:
        """``(K,)`` Dice coefficient."""
        total = self.true + self.marked
        return np.asarray(np.divide(2.0 * self.both, total, out=np.ones(total.shape), where=total > 0))

    @property
    def iou(self) -> NDArray[np.float64]:
        """``(K,)`` intersection over union."""
        union = self.true + self.marked - self.both
        return np.asarray(np.divide(1.0 * self.both, union, out=np.ones(union.shape), where=union > 0))


@dataclass(frozen=True)
class SliceMeans:
    """A mean over all slices, over those with and over those without tumour; NaN where there are none."""

    overall: float
    with_tumour: float
    without_tumour: float


def slice_overlap(pair: Pair) -> SliceOverlap:
    """Measure every slice of one patient."""
    both, true, marked = (
        np.count_nonzero(mask, axis=(1, 2)) for mask in (pair.truth & pair.found, pair.truth, pair.found)
    )
    return SliceOverlap(both, true, marked)


def join(overlaps: Iterable[SliceOverlap]) -> SliceOverlap:
    """Put the slices of several patients one after the other."""
    parts = [(overlap.both, overlap.true, overlap.marked) for overlap in overlaps]
    columns = zip(*parts, strict=True) if parts else ([np.zeros(0, np.int64)],) * 3
    both, true, marked = (np.concatenate(column) for column in columns)
    return SliceOverlap(both, true, marked)


def means(values: NDArray[np.float64], has_tumour: NDArray[np.bool_]) -> SliceMeans:
    """Return the means of a figure ``(K,)`` of each slice, over all of them and over both kinds."""
    return SliceMeans(_mean(values), _mean(values[has_tumour]), _mean(values[~has_tumour]))


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if values.size else nan
