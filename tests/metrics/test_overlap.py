"""Overlap, counted by hand."""

from math import isnan

import numpy as np
import pytest

from tests.metrics.masks import mask, pair
from tumorseg.errors import InputError
from tumorseg.metrics.overlap import dice, iou, precision, sensitivity
from tumorseg.metrics.pair import Pair


def test_counted_by_hand():
    # truth 4 voxels, found 3, both 2
    ours = pair([(0, 0, 0), (0, 0, 1), (1, 0, 0), (1, 0, 1)], [(0, 0, 0), (1, 0, 1), (1, 1, 1)])
    assert dice(ours) == pytest.approx(4 / 7)
    assert iou(ours) == pytest.approx(2 / 5)
    assert sensitivity(ours) == pytest.approx(2 / 4)
    assert precision(ours) == pytest.approx(2 / 3)
    assert iou(ours) == pytest.approx(dice(ours) / (2 - dice(ours)))


def test_all_slices_of_a_patient_count_together_and_not_each_by_itself():
    # Slice 0: 1 of 1 found. Slice 1: 0 of 3 found. The mean of slices would be 0.5.
    ours = pair([(0, 0, 0), (1, 0, 0), (1, 0, 1), (1, 1, 0)], [(0, 0, 0)])
    assert dice(ours) == pytest.approx(2 / 5)


def test_nothing_there_and_nothing_found_is_perfect_agreement():
    ours = pair([], [])
    assert dice(ours) == iou(ours) == 1.0
    assert isnan(sensitivity(ours))
    assert isnan(precision(ours))


def test_only_one_of_both_empty_is_no_agreement():
    missed, invented = pair([(0, 0, 0)], []), pair([], [(0, 0, 0)])
    assert dice(missed) == iou(missed) == sensitivity(missed) == 0.0
    assert isnan(precision(missed))
    assert dice(invented) == iou(invented) == precision(invented) == 0.0
    assert isnan(sensitivity(invented))


def test_all_found_and_nothing_else():
    ours = pair([(0, 0, 0), (2, 2, 2)], [(0, 0, 0), (2, 2, 2)])
    assert dice(ours) == iou(ours) == sensitivity(ours) == precision(ours) == 1.0


def test_masks_that_cannot_be_compared():
    with pytest.raises(InputError, match="one shape"):
        Pair(mask([]), np.zeros((3, 3, 4), bool))
    with pytest.raises(InputError, match="boolean"):
        Pair(mask([]), mask([]).astype(np.uint8))  # type: ignore[arg-type]
