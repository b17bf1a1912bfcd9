"""Scores of detections by hand; many lesions and large lesions do not win."""

from __future__ import annotations

import numpy as np
import pytest

from tumorseg.active_learning.detection_scoring import detection_margin, localisation_instability
from tumorseg.errors import InputError


def box(i: float, size: float) -> list[float]:
    return [i, 0, 0, i + size, size, 1]


def test_margin_by_hand() -> None:
    assert detection_margin([0.5], 0.5) == pytest.approx(1.0)
    assert detection_margin([0.25], 0.5) == pytest.approx(0.5)
    assert detection_margin([1.0], 0.5) == pytest.approx(0.0)
    assert detection_margin([0.9], 0.8) == pytest.approx(0.5)  # half the way from 0.8 to 1
    assert detection_margin([0.4], 0.8) == pytest.approx(0.5)
    assert detection_margin([], 0.5) == 0.0


def test_one_doubtful_finding_counts_as_much_among_many_sure_ones() -> None:
    assert detection_margin([0.55], 0.5) == detection_margin([0.55] + [0.99] * 20, 0.5)
    assert detection_margin([0.9] * 50, 0.5) == pytest.approx(detection_margin([0.9], 0.5))


@pytest.mark.parametrize("threshold", [0.0, 1.0, -2.0])
def test_a_threshold_outside_is_refused(threshold: float) -> None:
    with pytest.raises(InputError):
        detection_margin([0.5], threshold)


def test_instability_by_hand() -> None:
    boxes, scores = np.array([box(0, 10)]), np.array([0.8])
    same, gone = np.array([box(0, 10)]), np.empty((0, 6))
    half = np.array([box(5, 10)])  # 5 of 15 in common
    assert localisation_instability(boxes, scores, [same]) == pytest.approx(0.0)
    assert localisation_instability(boxes, scores, [gone]) == pytest.approx(1.0)
    assert localisation_instability(boxes, scores, [same, half]) == pytest.approx(1 - (1 + 1 / 3) / 2)
    assert localisation_instability(boxes, scores, [np.array([box(90, 3), box(0, 10)])]) == pytest.approx(0.0)


def test_surer_findings_weigh_more() -> None:
    boxes = np.array([box(0, 10), box(50, 10)])
    found = [np.array([box(0, 10)])]
    assert localisation_instability(boxes, np.array([0.9, 0.1]), found) == pytest.approx(0.1)


def test_a_larger_lesion_that_moves_in_proportion_scores_the_same() -> None:
    small = localisation_instability(np.array([box(0, 10)]), np.ones(1), [np.array([box(2, 10)])])
    large = localisation_instability(np.array([box(0, 100)]), np.ones(1), [np.array([box(20, 100)])])
    assert small == pytest.approx(large)


def test_nothing_found_is_nothing_to_doubt() -> None:
    assert localisation_instability(np.empty((0, 6)), np.empty(0), [np.array([box(0, 1)])]) == 0.0
    assert localisation_instability(np.array([box(0, 1)]), np.ones(1), []) == 0.0
    with pytest.raises(InputError):
        localisation_instability(np.array([box(0, 1)]), np.ones(2), [])
