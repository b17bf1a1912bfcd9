"""Figures by patient, over all images or some: measured once, and each patient counted once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tumorseg.adapters.learning.measure import Measurements
from tumorseg.versions.types import CaseUsed

CASES = [CaseUsed(f"{patient}{number}", patient, "validation", "", "") for patient in "ab" for number in (1, 2, 3)]
#: A blank answer: right on the two images of a patient that show nothing.
BLANK = {"a1": 0.0, "a2": 1.0, "a3": 1.0, "b1": 0.0, "b2": 1.0, "b3": 0.5}


@pytest.fixture
def measurements(tmp_path: Path) -> Measurements:
    (tmp_path / "measured.json").write_text(json.dumps({"blank": BLANK}))
    return Measurements(tmp_path, reader=None, between=never)  # type: ignore[arg-type]


def never() -> None:
    raise AssertionError("everything is measured already")


def test_every_patient_counts_once_with_the_mean_of_its_images(measurements: Measurements) -> None:
    assert measurements.by_patient("blank", never, CASES) == pytest.approx({"a": 2 / 3, "b": 0.5})  # type: ignore[arg-type]


def test_some_of_the_images_alone_are_not_measured_again(measurements: Measurements) -> None:
    lesions = [case for case in CASES if case.image.endswith("1")]
    assert measurements.by_patient("blank", never, lesions) == {"a": 0.0, "b": 0.0}  # type: ignore[arg-type]
    assert measurements.by_patient("blank", never, lesions[:1]) == {"a": 0.0}  # type: ignore[arg-type]
    assert measurements.by_patient("blank", never, []) == {}  # type: ignore[arg-type]


def test_labels_that_are_the_answer_itself_are_counted(measurements: Measurements) -> None:
    assert measurements.exact("blank", CASES) == 3
    assert measurements.exact("another", CASES) == 0
