"""Slices without tumour."""

from math import isnan

import numpy as np
import pytest

from tests.metrics.masks import pair
from tumorseg.metrics.overlap import dice, iou
from tumorseg.metrics.pair import Pair
from tumorseg.metrics.slices import empty_slices, false_positive_slices, join, means, slice_overlap


def test_only_marks_on_empty_slices_are_false_positive_slices():
    # Slice 0 has tumour, and a mark beside it; slice 1 is empty and has two marks; slice 2 is empty and stays so.
    ours = pair([(0, 0, 0)], [(0, 2, 2), (1, 0, 0), (1, 2, 2)])
    assert empty_slices(ours) == 2
    assert false_positive_slices(ours) == 1


def test_a_patient_without_tumour_has_only_empty_slices():
    assert empty_slices(pair([], [])) == 3
    assert false_positive_slices(pair([], [])) == 0
    assert false_positive_slices(pair([], [(0, 0, 0), (1, 1, 1), (2, 0, 0)])) == 3


def test_a_patient_with_tumour_everywhere_has_none():
    everywhere = [(k, 0, 0) for k in range(3)]
    assert empty_slices(pair(everywhere, [])) == 0
    assert false_positive_slices(pair(everywhere, [(k, 2, 2) for k in range(3)])) == 0


def test_dice_of_each_slice_and_of_both_kinds():
    # Slice 0: truth 2, found 2, both 1. Slice 1 is empty and stays so. Slice 2 is empty and has a mark.
    ours = slice_overlap(pair([(0, 0, 0), (0, 0, 1)], [(0, 0, 1), (0, 0, 2), (2, 1, 1)]))
    assert ours.dice.tolist() == [0.5, 1.0, 0.0]
    assert ours.iou == pytest.approx([1 / 3, 1.0, 0.0])
    assert ours.has_tumour.tolist() == [True, False, False]
    mean = means(ours.dice, ours.has_tumour)
    assert (mean.overall, mean.with_tumour, mean.without_tumour) == (0.5, 0.5, 0.5)
    assert means(ours.iou, ours.has_tumour).with_tumour == pytest.approx(1 / 3)


def test_a_slice_that_is_missed_is_zero():
    assert slice_overlap(pair([(1, 0, 0)], [])).dice.tolist() == [1.0, 0.0, 1.0]


def test_a_kind_that_is_not_there_has_no_mean():
    ours = slice_overlap(pair([], []))
    mean = means(ours.dice, ours.has_tumour)
    assert (mean.overall, isnan(mean.with_tumour), mean.without_tumour) == (1.0, True, 1.0)
    nothing = join([])
    assert isnan(means(nothing.dice, nothing.has_tumour).overall)


def test_slices_of_several_patients_count_alike():
    one, two = slice_overlap(pair([], [])), slice_overlap(pair([(0, 0, 0)], [], shape=(1, 2, 2)))
    assert join([one, two]).dice.tolist() == [1.0, 1.0, 1.0, 0.0]


def test_each_slice_is_what_the_metrics_say_of_it_alone():
    rng = np.random.default_rng(0)
    whole = Pair(rng.random((8, 5, 5)) < 0.15, rng.random((8, 5, 5)) < 0.1)
    ours = slice_overlap(whole)
    alone = [Pair(whole.truth[k : k + 1], whole.found[k : k + 1]) for k in range(8)]
    assert ours.dice == pytest.approx([dice(one) for one in alone])
    assert ours.iou == pytest.approx([iou(one) for one in alone])
