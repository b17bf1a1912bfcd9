"""The simulated person, against errors small enough to point at by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tumorseg.errors import InputError
from tumorseg.interactive.prompts import Click
from tumorseg.interactive.robot import next_click, stroke

SHAPE = (4, 9, 11)


def box(k: slice | int, j: slice | int, i: slice | int) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[k, j, i] = True
    return mask


NOTHING = np.zeros(SHAPE, bool)


def test_nothing_to_correct() -> None:
    assert next_click(NOTHING, NOTHING) is None
    some = box(1, slice(2, 5), slice(2, 5))
    assert next_click(some, some) is None


def test_what_is_missing_gets_a_positive_click_and_what_is_too_much_a_negative_one() -> None:
    lesion = box(2, slice(3, 6), slice(5, 10))
    # Middle row 4; columns 6, 7 and 8 are equally deep (two pixels from outside), and the first of them is taken.
    assert next_click(NOTHING, lesion) == Click((6, 4, 2), positive=True)
    assert next_click(lesion, NOTHING) == Click((6, 4, 2), positive=False)


def test_the_largest_error_of_the_volume_and_in_it_the_slice_with_most_of_it() -> None:
    wide_in_one_slice = box(0, slice(0, 3), slice(0, 3))  # as much as any slice of the other
    tall = box(slice(1, 4), slice(6, 9), slice(8, 11)) & ~box(1, 6, slice(8, 11))  # 6 + 9 + 9 voxels
    # Slices 2 and 3 have as much; the first is taken. The image's edge is a border, so that the middle is deepest.
    assert next_click(NOTHING, wide_in_one_slice | tall) == Click((9, 7, 2), positive=True)


def test_voxels_that_touch_at_a_corner_are_one_error() -> None:
    diagonal = box(0, 1, 1) | box(1, 2, 2) | box(2, 3, 3)
    pair = box(3, 7, slice(7, 9))
    click = next_click(pair, diagonal)
    assert click == Click((1, 1, 0), positive=True)


def test_ties_are_settled_the_same_way_each_time() -> None:
    two = box(1, slice(1, 4), slice(1, 4)) | box(3, slice(1, 4), slice(1, 4))
    assert next_click(NOTHING, two) == Click((2, 2, 1), positive=True)
    # As much missing as too much: what is missing comes first, wherever it is.
    first, last = box(0, slice(1, 4), slice(1, 4)), box(3, slice(1, 4), slice(1, 4))
    assert next_click(first, last) == Click((2, 2, 3), positive=True)


def test_deep_means_millimetres_and_not_pixels() -> None:
    cross = box(1, 4, slice(1, 10)) | box(1, slice(3, 6), 5)
    bar = box(1, slice(1, 8), slice(4, 6))  # 7 rows, 2 columns: by pixels every voxel but the ends is 1 deep
    assert next_click(NOTHING, cross) == Click((5, 4, 1), positive=True)
    assert next_click(NOTHING, bar) == Click((4, 1, 1), positive=True)
    # Wide pixels and flat rows: the ends are near, the middle row is the deepest.
    assert next_click(NOTHING, bar, spacing=(9.0, 1.0, 5.0)) == Click((4, 4, 1), positive=True)


def test_a_slice_that_is_wrong_throughout_is_clicked_in_its_middle() -> None:
    assert next_click(NOTHING, box(2, slice(None), slice(None))) == Click((4, 4, 2), positive=True)


def test_an_unsteady_hand_stays_on_the_error_and_follows_its_generator() -> None:
    ring = box(1, slice(1, 8), slice(1, 8)) & ~box(1, slice(3, 6), slice(3, 6))
    drawn = [next_click(NOTHING, ring, noisy=2, rng=np.random.default_rng(seed)) for seed in range(30)]
    assert all(click is not None and ring[click.at[::-1]] and click.positive for click in drawn)
    steady = next_click(NOTHING, ring)
    assert steady is not None
    assert all(max(abs(a - b) for a, b in zip(click.at, steady.at, strict=True)) <= 2 for click in drawn)
    assert len(set(drawn)) > 5
    assert drawn == [next_click(NOTHING, ring, noisy=2, rng=np.random.default_rng(seed)) for seed in range(30)]


def test_who_draws_instead_stays_on_the_right_side() -> None:
    lesion = box(2, slice(3, 6), slice(5, 10))
    dab = stroke(Click((6, 4, 2)), lesion).marks
    assert dab[2, 4, 6] == 1
    assert (dab[~lesion] == 0).all()
    assert (dab[2, 3:6, 5:9] == 1).all()  # three pixels around the click, within the lesion
    assert dab[2, 4, 9] == 1
    assert dab[2, 3, 9] == 0
    away = stroke(Click((1, 4, 2), positive=False), lesion).marks
    assert set(np.unique(away)) == {-1, 0}
    assert (away[lesion] == 0).all()
    assert away[2, 4, 4] == -1


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(InputError, match=r"one shape.*\(4, 9, 11\) and \(4, 9, 10\)"):
        next_click(NOTHING, NOTHING[:, :, :10])
    with pytest.raises(InputError, match=r"a truth \(K, J, I\) of bool"):
        next_click(NOTHING, NOTHING.astype(np.uint8))
    with pytest.raises(InputError, match="with a generator"):
        next_click(NOTHING, NOTHING, noisy=1)
