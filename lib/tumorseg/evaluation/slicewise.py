"""Dice and IoU slice by slice, as articles on slices report them: all, those with tumour, those without.

A slice without tumour in which nothing is marked is perfect agreement, 1; one in which anything is marked is 0. The
mean over all slices is therefore mostly about silence on empty slices: it stands beside the volume's Dice, not for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import nan
from typing import TYPE_CHECKING

import numpy as np

from tumorseg.evaluation.report import Interval, PatientRow
from tumorseg.metrics.pair import Pair
from tumorseg.metrics.patients import interval_by_patient, weighted_ratio
from tumorseg.metrics.slices import slice_overlap

if TYPE_CHECKING:
    from numpy.typing import NDArray


def tumour_slices(pair: Pair) -> tuple[float, float]:
    """Return the mean Dice and the mean IoU of the slices (along k) with tumour; NaN twice without any."""
    overlap = slice_overlap(pair)
    kept = overlap.has_tumour
    return (float(overlap.dice[kept].mean()), float(overlap.iou[kept].mean())) if kept.any() else (nan, nan)


def slicewise_figures(rows: Sequence[PatientRow], seed: int) -> dict[str, Interval]:
    """Return the means over all slices of all patients, with intervals by patient.

    Keys: ``slice_dice``, ``slice_iou`` over all slices, ``…_tumour`` over those with tumour, ``…_empty`` over those
    without (where both are the part of slices left unmarked).
    """
    full = np.array([row.slices - row.empty_slices for row in rows], np.float64)
    empty = np.array([row.empty_slices for row in rows], np.float64)
    silent = empty - np.array([row.false_positive_slices for row in rows], np.float64)
    figures = {}
    for name, of in _MEANS.items():
        sums = np.array([of(row) for row in rows]) * full
        sums = np.where(full > 0, sums, 0.0)
        figures[f"slice_{name}"] = _interval(sums + silent, full + empty, rows, seed)
        figures[f"slice_{name}_tumour"] = _interval(sums, full, rows, seed)
        figures[f"slice_{name}_empty"] = _interval(silent, empty, rows, seed)
    return figures


_MEANS: dict[str, Callable[[PatientRow], float]] = {
    "dice": lambda row: row.tumour_slice_dice,
    "iou": lambda row: row.tumour_slice_iou,
}


def _interval(
    above: NDArray[np.float64], below: NDArray[np.float64], rows: Sequence[PatientRow], seed: int
) -> Interval:
    if not below.sum():
        return Interval(nan, nan, nan)
    patients = [row.patient for row in rows]
    low, high = interval_by_patient(weighted_ratio(above, below), patients, np.random.default_rng(seed))
    return Interval(float(above.sum() / below.sum()), low, high)
