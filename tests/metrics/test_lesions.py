"""Lesion by lesion, counted by hand."""

from math import isnan

import numpy as np
import pytest

from tests.metrics.masks import pair
from tumorseg.errors import InputError
from tumorseg.metrics.lesions import lesion_dice, lesion_precision, lesion_scores, lesion_sensitivity
from tumorseg.metrics.overlap import dice
from tumorseg.metrics.pair import Pair

LINE = (1, 1, 20)


def along(*spans):
    """Return voxels of a line from start to stop, half-open."""
    return [(0, 0, i) for start, stop in spans for i in range(start, stop)]


def line(truth, found):
    return pair(along(*truth), along(*found), shape=LINE)


def test_one_of_two_found_and_one_false():
    ours = lesion_scores(line([(0, 4), (6, 8)], [(1, 5), (12, 13)]))
    assert ours.dice == pytest.approx([2 * 3 / 8, 0])
    assert ours.covered == pytest.approx([3 / 4, 0])
    assert ours.voxels.tolist() == [4, 2]
    assert ours.false_positives == 1
    assert (ours.sensitivity, ours.precision, ours.f1) == (0.5, 0.5, 0.5)
    assert ours.lesion_dice == pytest.approx(0.75 / 3)


def test_a_lesion_found_in_pieces_is_found_once():
    ours = lesion_scores(line([(0, 10)], [(0, 3), (5, 9)]))
    assert ours.dice == pytest.approx([2 * 7 / 17])
    assert (ours.sensitivity, ours.precision, ours.false_positives) == (1.0, 1.0, 0)


def test_one_answer_to_two_lesions_is_poor_for_both():
    ours = lesion_scores(line([(0, 4), (6, 10)], [(0, 10)]))
    assert ours.dice == pytest.approx([2 * 4 / 14, 2 * 4 / 14])
    assert ours.sensitivity == 1.0
    assert ours.false_positives == 0


def test_a_lesion_must_be_covered_as_far_as_is_asked_for():
    mask = line([(0, 4)], [(3, 5)])
    assert lesion_scores(mask, least=0.25).sensitivity == 1.0
    ours = lesion_scores(mask, least=0.3)
    # What touches a lesion is no false positive, but nothing is found.
    assert (ours.sensitivity, ours.false_positives, ours.lesion_dice) == (0.0, 0, 0.0)
    assert isnan(ours.precision)


def test_voxels_that_share_a_corner_are_one_lesion():
    assert lesion_scores(pair([(0, 0, 0), (1, 1, 1)], [])).voxels.tolist() == [2]
    assert lesion_scores(pair([(0, 0, 0), (2, 2, 2)], [])).voxels.tolist() == [1, 1]


def test_nothing_there_and_nothing_found():
    nothing = pair([], [])
    assert lesion_dice(nothing) == 1.0
    assert isnan(lesion_sensitivity(nothing))
    assert isnan(lesion_precision(nothing))
    assert isnan(lesion_scores(nothing).f1)


def test_only_one_of_both_empty():
    missed, invented = pair([(0, 0, 0)], []), pair([], [(0, 0, 0), (2, 2, 2)])
    assert (lesion_dice(missed), lesion_sensitivity(missed), isnan(lesion_precision(missed))) == (0.0, 0.0, True)
    assert (lesion_dice(invented), isnan(lesion_sensitivity(invented)), lesion_precision(invented)) == (0.0, True, 0.0)
    assert lesion_scores(invented).false_positives == 2


@pytest.mark.parametrize("seed", range(4))
def test_one_lesion_and_one_answer_is_plain_dice(seed):
    rng = np.random.default_rng(seed)
    masks = np.zeros((2, 6, 12, 12), bool)
    for mask in masks:
        k, j, i = rng.integers(0, 3, 3)
        mask[k : k + 3, j : j + 8, i : i + 8] = True
    ours = Pair(*masks)
    assert lesion_dice(ours) == pytest.approx(dice(ours))


@pytest.mark.parametrize("seed", range(4))
def test_every_component_is_counted(seed):
    from skimage.measure import label

    rng = np.random.default_rng(seed)
    ours = Pair(rng.random((5, 20, 20)) < 0.02, rng.random((5, 20, 20)) < 0.02)
    scores = lesion_scores(ours)
    truth, found = label(ours.truth, connectivity=3), label(ours.found, connectivity=3)
    assert scores.voxels.sum() == ours.true
    assert scores.dice.size == truth.max()
    assert scores.false_positives == found.max() - np.unique(found[ours.truth & ours.found]).size
    assert scores.detected.sum() == np.unique(truth[ours.truth & ours.found]).size
    # Naming the components in another order changes nothing.
    assert lesion_dice(Pair(ours.truth[::-1, ::-1], ours.found[::-1, ::-1])) == pytest.approx(scores.lesion_dice)


@pytest.mark.parametrize("least", [-0.1, 1.1, np.nan])
def test_a_part_is_between_nothing_and_all(least):
    with pytest.raises(InputError, match="least covered part"):
        lesion_scores(pair([], []), least=least)
