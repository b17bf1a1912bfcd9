"""Slices joined to lesions: by hand where the answer can be counted, and against every assignment where it cannot."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from tumorseg.errors import InputError
from tumorseg.models.linking import link_slices, plane_iou
from tumorseg.types import Instance


def found(k: int, j: int, i: int, size: int = 4, score: float = 0.9, label: str = "tumor") -> Instance:
    """A square of ``size`` pixels in slice ``k``."""
    box = np.array([i, j, k, i + size, j + size, k + 1], dtype=np.float64)
    return Instance(label, score, box, np.ones((1, size, size), dtype=bool), (k, j, i))


def test_iou_in_the_plane_by_hand() -> None:
    assert plane_iou(found(0, 0, 0), found(1, 0, 0)) == 1
    assert plane_iou(found(0, 0, 0), found(1, 0, 2)) == pytest.approx(8 / 24)
    assert plane_iou(found(0, 0, 0), found(1, 4, 0)) == 0
    empty = Instance("tumor", 0.5, np.array([0.0, 0, 0, 4, 4, 1]), np.zeros((1, 4, 4), dtype=bool), (0, 0, 0))
    assert plane_iou(empty, empty) == 0


def test_a_lesion_of_three_slices_has_their_masks_box_and_highest_score() -> None:
    slices = [[], [found(1, 5, 6, score=0.7)], [found(2, 5, 7, score=0.95)], [found(3, 6, 7, score=0.8)], []]
    (lesion,) = link_slices(slices, iou=0.3, min_slices=3)
    assert lesion.score == 0.95
    assert lesion.origin == (1, 5, 6)
    np.testing.assert_array_equal(lesion.box, [6, 5, 1, 11, 10, 4])
    assert lesion.mask.shape == (3, 5, 5)
    expected = np.zeros((3, 5, 5), dtype=bool)
    expected[0, :4, :4] = expected[1, :4, 1:] = expected[2, 1:, 1:] = True
    np.testing.assert_array_equal(lesion.mask, expected)


def test_nothing_found_is_no_lesion() -> None:
    assert link_slices([], iou=0.3, min_slices=1) == ()
    assert link_slices([[], [], []], iou=0.3, min_slices=1) == ()


def test_classes_are_not_mixed_and_touching_is_not_overlapping() -> None:
    assert len(link_slices([[found(0, 0, 0)], [found(1, 0, 0, label="cyst")]], iou=0.1, min_slices=1)) == 2
    assert len(link_slices([[found(0, 0, 0)], [found(1, 0, 4)]], iou=0.0, min_slices=1)) == 2
    assert len(link_slices([[found(0, 0, 0)], [found(1, 0, 3)]], iou=0.0, min_slices=1)) == 1


def test_the_threshold_is_included() -> None:
    slices = [[found(0, 0, 0)], [found(1, 0, 2)]]
    assert len(link_slices(slices, iou=8 / 24, min_slices=1)) == 1
    assert len(link_slices(slices, iou=8 / 24 + 1e-9, min_slices=1)) == 2


def test_one_missed_slice_is_bridged_and_left_empty_and_two_are_not() -> None:
    (lesion,) = link_slices([[found(0, 0, 0)], [], [found(2, 0, 0)]], iou=0.3, min_slices=2)
    assert lesion.mask.any(axis=(1, 2)).tolist() == [True, False, True]
    assert len(link_slices([[found(0, 0, 0)], [], [], [found(3, 0, 0)]], iou=0.3, min_slices=1)) == 2


def test_a_neighbour_goes_before_one_behind_a_gap() -> None:
    slices = [[found(0, 0, 0, score=0.6)], [found(1, 0, 2, score=0.5)], [found(2, 0, 0, score=0.7)]]
    lesions = link_slices(slices, iou=0.3, min_slices=1)
    assert [lesion.mask.shape[0] for lesion in lesions] == [3]
    # With a threshold that parts the neighbours, the first and the last are one again.
    assert [lesion.mask.shape[0] for lesion in link_slices(slices, iou=0.4, min_slices=1)] == [3, 1]


def test_too_few_slices_are_dropped_but_not_from_a_picture() -> None:
    slices = [[found(0, 0, 0), found(0, 20, 20)], [found(1, 0, 0)]]
    assert len(link_slices(slices, iou=0.3, min_slices=2)) == 1
    assert len(link_slices([[found(0, 0, 0)]], iou=0.3, min_slices=5)) == 1


def test_the_assignment_is_the_best_and_not_the_first() -> None:
    """The surer detection overlaps both chains; taking its best match first would leave the other one alone."""
    before = [found(0, 0, 0, size=10), found(0, 0, 6, size=10)]
    now = [found(1, 0, 4, size=10, score=0.99), found(1, 0, 10, size=10, score=0.5)]
    lesions = link_slices([before, now], iou=0.2, min_slices=2)
    assert {(lesion.box[0], lesion.box[3]) for lesion in lesions} == {(0, 14), (6, 20)}


def test_a_detection_within_another_is_no_second_lesion() -> None:
    """The smaller one is followed on its own, and fills the slice in which the larger one was missed."""
    large = [found(k, 0, 0, size=20, score=0.9 + k / 100) for k in (0, 1, 3)]
    small = [found(k, 5, 5, size=8, score=0.8) for k in (1, 2, 3)]
    slices = [[large[0]], [large[1], small[0]], [small[1]], [large[2], small[2]]]
    (lesion,) = link_slices(slices, iou=0.5, min_slices=1)
    assert lesion.score == 0.93
    assert lesion.mask.sum(axis=(1, 2)).tolist() == [400, 400, 64, 400]
    # Of another class, or beside it, it is one.
    other = [[large[0]], [found(1, 5, 5, size=8, label="cyst"), large[1]]]
    assert len(link_slices(other, iou=0.5, min_slices=1)) == 2
    beside = [[large[0]], [large[1], found(1, 0, 17, size=8, score=0.4)]]
    assert len(link_slices(beside, iou=0.5, min_slices=1)) == 2
    # In a picture the request's NMS alone decides.
    assert len(link_slices([[large[0], found(0, 5, 5, size=8)]], iou=0.5, min_slices=1)) == 2


def test_a_mask_in_another_slice_is_refused() -> None:
    with pytest.raises(InputError, match=r"slice 0, got a mask"):
        link_slices([[found(1, 0, 0)]], iou=0.3, min_slices=1)


@pytest.mark.parametrize("seed", range(40))
def test_two_slices_are_joined_as_well_as_any_assignment_can(seed: int) -> None:
    rng = np.random.default_rng(seed)
    iou = float(rng.choice([0.0, 0.1, 0.3, 0.6]))
    # On a lattice of three pixels, squares of four hardly cover each other within a slice.
    slices = []
    for k in range(2):
        places = 3 * rng.permutation(list(np.ndindex(3, 3)))[: rng.integers(0, 5)] + rng.integers(0, 3, 2)
        slices.append([found(k, int(j), int(i), score=float(rng.random())) for j, i in places])
    lesions = link_slices(slices, iou=iou, min_slices=1)
    reached = sum(plane_iou(*_parts(lesion)) for lesion in lesions if lesion.mask.shape[0] == 2)
    few, many = sorted(slices, key=len)
    overlaps = ([plane_iou(a, b) for a, b in zip(few, chosen, strict=True)] for chosen in permutations(many, len(few)))
    assert reached == pytest.approx(max(sum(value for value in some if value >= iou) for some in overlaps))
    for some in slices:
        rng.shuffle(some)
    again = link_slices(slices, iou=iou, min_slices=1)
    assert [(a.score, a.box.tolist()) for a in again] == [(a.score, a.box.tolist()) for a in lesions]


def _parts(lesion: Instance) -> tuple[Instance, Instance]:
    first, second = (Instance(lesion.label, lesion.score, lesion.box, m[None], (0, 0, 0)) for m in lesion.mask)
    return first, second
