"""A model over patients. The truth is looked at only after the answer: it neither crops nor selects anything."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from math import isfinite, nan

import numpy as np

from tumorseg.errors import InputError
from tumorseg.evaluation.report import Interval, PatientRow, Report, Summary
from tumorseg.evaluation.slicewise import slicewise_figures, tumour_slices
from tumorseg.io.kaggle_3m import Case
from tumorseg.metrics.bootstrap import Statistic, bootstrap_interval
from tumorseg.metrics.pair import Pair
from tumorseg.metrics.slices import empty_slices, false_positive_slices
from tumorseg.models.base import Model
from tumorseg.registry import METRICS, resolve
from tumorseg.types import Segmentation

#: Called with a case, what the model found in it, and its row (None for a patient without truth).
Progress = Callable[[Case, Segmentation | None, PatientRow | None], None]
SEED = 20190218


def evaluate(model: Model, cases: Iterable[Case], *, progress: Progress | None = None, seed: int = SEED) -> Report:
    """Predict every case and compare it with its truth.

    Args:
        model: what is measured.
        cases: read one after the other; those without truth are counted and passed over.
        progress: called after each case.
        seed: of the bootstrap, so that the same answers give the same intervals.

    Raises:
        InputError: not one case has a truth.
    """
    rows: list[PatientRow] = []
    without_truth = 0
    for case in cases:
        if case.truth is None:
            without_truth += 1
            found, row = None, None
        else:
            found, row = measure(model, case)
            rows.append(row)
        if progress is not None:
            progress(case, found, row)
    if not rows:
        raise InputError(f"expected at least one patient with a mask, got {without_truth} without")
    return Report(model.name, model.version, tuple(rows), summarise(rows, without_truth, seed=seed))


def measure(model: Model, case: Case) -> tuple[Segmentation, PatientRow]:
    """Predict one case that has a truth, and measure the answer."""
    if case.truth is None:
        raise InputError(f"expected a mask for {case.id}, got none")
    started = time.perf_counter()
    found = model.predict(case.image).segmentation
    seconds = time.perf_counter() - started
    i, j, k = case.image.grid.spacing
    pair = Pair(case.truth.voxels > 0, found.voxels > 0, (k, j, i) if case.image.spacing_known else None)
    slice_dice, slice_iou = tumour_slices(pair)
    row = PatientRow(
        patient=case.id,
        metrics={name: float(resolve(METRICS, "metric", name)(pair)) for name in METRICS},
        slices=pair.truth.shape[0],
        empty_slices=empty_slices(pair),
        false_positive_slices=false_positive_slices(pair),
        truth_voxels=pair.true,
        found_voxels=pair.marked,
        seconds=seconds,
        tumour_slice_dice=slice_dice,
        tumour_slice_iou=slice_iou,
    )
    return found, row


def summarise(rows: Sequence[PatientRow], without_truth: int = 0, *, seed: int = SEED) -> Summary:
    """Put the rows of all patients together."""
    tumours = [row for row in rows if row.has_tumour]
    dice = np.array([row.metrics["dice"] for row in tumours])
    return Summary(
        patients=len(rows),
        without_tumour=len(rows) - len(tumours),
        without_truth=without_truth,
        dice_mean=_interval(dice, "mean", seed),
        dice_median=_interval(dice, "median", seed),
        means={name: _mean([row.metrics[name] for row in tumours]) for name in rows[0].metrics} if rows else {},
        empty_slices=sum(row.empty_slices for row in rows),
        false_positive_slices=sum(row.false_positive_slices for row in rows),
        slicewise=slicewise_figures(rows, seed),
    )


def _interval(values: np.ndarray, statistic: Statistic, seed: int) -> Interval:
    if not values.size:
        return Interval(nan, nan, nan)
    low, high = bootstrap_interval(values, np.random.default_rng(seed), statistic=statistic)
    return Interval(float(np.mean(values) if statistic == "mean" else np.median(values)), low, high)


def _mean(values: Sequence[float]) -> float:
    defined = [value for value in values if isfinite(value)]
    return float(np.mean(defined)) if defined else nan
