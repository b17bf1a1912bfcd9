"""What an evaluation found, as typed rows; the tables and the JSON are made of these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class PatientRow:
    """One patient.

    Attributes:
        patient: id.
        metrics: name in registry.METRICS -> value, NaN where not defined.
        slices: all slices.
        empty_slices: those without tumour in the truth.
        false_positive_slices: those of the empty ones in which the model marked something.
        truth_voxels: size of the true tumour.
        found_voxels: size of what the model marked.
        seconds: time of the prediction, without reading.
        tumour_slice_dice: mean Dice of the slices with tumour, NaN without any.
        tumour_slice_iou: their mean IoU.
    """

    patient: str
    metrics: Mapping[str, float]
    slices: int
    empty_slices: int
    false_positive_slices: int
    truth_voxels: int
    found_voxels: int
    seconds: float
    tumour_slice_dice: float
    tumour_slice_iou: float

    @property
    def has_tumour(self) -> bool:
        """Whether there is something to find; the others are left out of the means."""
        return self.truth_voxels > 0


@dataclass(frozen=True)
class Interval:
    """A number with its bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Summary:
    """Over all patients.

    Attributes:
        patients: measured patients.
        without_tumour: those of them with nothing to find; only their false-positive slices count.
        without_truth: patients that nobody annotated; not measured at all.
        dice_mean: mean volume Dice over patients with tumour.
        dice_median: its median.
        means: mean of every metric over the patients for whom it is defined.
        empty_slices: over all measured patients.
        false_positive_slices: over all measured patients.
        slicewise: Dice and IoU slice by slice, see :mod:`tumorseg.evaluation.slicewise`.
    """

    patients: int
    without_tumour: int
    without_truth: int
    dice_mean: Interval
    dice_median: Interval
    means: Mapping[str, float]
    empty_slices: int
    false_positive_slices: int
    slicewise: Mapping[str, Interval]

    @property
    def false_positive_rate(self) -> float:
        """False-positive slices for each empty slice; 0 without empty slices."""
        return self.false_positive_slices / self.empty_slices if self.empty_slices else 0.0


@dataclass(frozen=True)
class Report:
    """One model on one set of patients."""

    model: str
    version: str
    rows: tuple[PatientRow, ...]
    summary: Summary
