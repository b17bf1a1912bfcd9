"""Does a slice show tumour? A classifier's scores against the truth of every slice, with intervals by patient."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING

import numpy as np

from tumorseg.errors import InputError
from tumorseg.evaluation.report import Interval
from tumorseg.io.kaggle_3m import Case
from tumorseg.metrics.patients import Statistic, interval_by_patient, weighted_ratio
from tumorseg.metrics.roc import roc_aucs, roc_curve
from tumorseg.models.classifier import SliceClassifier

if TYPE_CHECKING:
    from numpy.typing import NDArray

SEED = 20190218


@dataclass(frozen=True, eq=False)
class GateRow:
    """One patient.

    Attributes:
        patient: id.
        scores: ``(K,)`` of the slices, in the order of the volume.
        truth: ``(K,)`` whether tumour is annotated in the slice.
        seconds: of the classification, without reading.
    """

    patient: str
    scores: NDArray[np.float64]
    truth: NDArray[np.bool_]
    seconds: float

    def __post_init__(self) -> None:
        if self.scores.shape != self.truth.shape or self.scores.ndim != 1:
            raise InputError(f"{self.patient}: {self.scores.shape} scores for {self.truth.shape} slices")

    def right(self, threshold: float) -> int:
        """Slices with tumour that reach the threshold."""
        return int(np.count_nonzero(self.truth & (self.scores >= threshold)))

    def false_alarms(self, threshold: float) -> int:
        """Slices without tumour that reach it."""
        return int(np.count_nonzero(~self.truth & (self.scores >= threshold)))


@dataclass(frozen=True)
class GateReport:
    """One classifier on one set of patients.

    Attributes:
        model: registry name.
        version: of the weights.
        threshold: a slice with at least this score counts as one with tumour.
        rows: one a patient.
        figures: ``auc``, ``sensitivity``, ``specificity``, ``precision``, ``accuracy`` over all slices.
        without_truth: patients that nobody annotated.
    """

    model: str
    version: str
    threshold: float
    rows: tuple[GateRow, ...]
    figures: Mapping[str, Interval]
    without_truth: int = 0

    @property
    def scores(self) -> NDArray[np.float64]:
        """All slices' scores in one row."""
        return np.concatenate([row.scores for row in self.rows])

    @property
    def truth(self) -> NDArray[np.bool_]:
        """All slices' truth in one row."""
        return np.concatenate([row.truth for row in self.rows])


#: Called after each case with its row, None for a patient without truth.
Progress = Callable[[Case, GateRow | None], None]


def evaluate_gate(gate: SliceClassifier, cases: Iterable[Case], *, progress: Progress | None = None) -> GateReport:
    """Score every slice of every case.

    Raises:
        InputError: not one case has a truth.
    """
    rows: list[GateRow] = []
    without_truth = 0
    for case in cases:
        row = None
        if case.truth is None:
            without_truth += 1
        else:
            started = time.perf_counter()
            found = gate.classify(case.image)
            seconds = time.perf_counter() - started
            others = tuple(axis for axis in range(3) if axis != found.axis)
            truth = np.asarray((case.truth.voxels > 0).any(axis=others))
            row = GateRow(case.id, found.scores.astype(np.float64), truth, seconds)
            rows.append(row)
        if progress is not None:
            progress(case, row)
    return summarise(gate.name, gate.version, gate.threshold, rows, without_truth=without_truth)


def summarise(
    model: str, version: str, threshold: float, rows: Sequence[GateRow], *, without_truth: int = 0, seed: int = SEED
) -> GateReport:
    """Put the patients together.

    Raises:
        InputError: not one patient.
    """
    if not rows:
        raise InputError(f"expected at least one patient with a mask, got {without_truth} without")
    patients = [row.patient for row in rows for _ in range(row.scores.size)]
    scores = np.concatenate([row.scores for row in rows])
    truth = np.concatenate([row.truth for row in rows])
    passed = scores >= threshold
    statistics: dict[str, Statistic] = {
        "auc": lambda weights: roc_aucs(scores, truth, weights),
        "sensitivity": _part(passed & truth, truth),
        "specificity": _part(~passed & ~truth, ~truth),
        "precision": _part(passed & truth, passed),
        "accuracy": _part(passed == truth, np.ones_like(truth)),
    }
    figures = {name: _interval(statistic, patients, seed) for name, statistic in statistics.items()}
    return GateReport(model, version, threshold, tuple(rows), figures, without_truth)


def roc(report: GateReport) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return ``(P,)`` false positive rate and ``(P,)`` sensitivity at every threshold, from (0, 0) to (1, 1).

    A rate stays 0 where there is no slice of its kind: something can still be drawn.
    """
    curve = roc_curve(report.scores, report.truth)
    return np.nan_to_num(curve.false_positive_rate), np.nan_to_num(curve.true_positive_rate)


def _part(above: NDArray[np.bool_], below: NDArray[np.bool_]) -> Statistic:
    return weighted_ratio(above.astype(np.float64), below.astype(np.float64))


def _interval(statistic: Statistic, patients: Sequence[str], seed: int) -> Interval:
    value = float(statistic(np.ones((1, len(patients))))[0])
    if not np.isfinite(value):
        return Interval(nan, nan, nan)
    low, high = interval_by_patient(statistic, patients, np.random.default_rng(seed))
    return Interval(value, low, high)
