"""What a click may change: nothing that does not hang together with it."""

import numpy as np
import pytest

from tumorseg.interactive.local import STAMP_RADIUS, confined
from tumorseg.interactive.prompts import Click

SHAPE = (4, 30, 40)


def lesion(*boxes: tuple[slice, slice, slice]) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    for box in boxes:
        mask[box] = True
    return mask


NEAR = (slice(1, 3), slice(4, 10), slice(4, 10))
FAR = (slice(1, 3), slice(20, 28), slice(25, 35))


def test_a_negative_click_takes_its_own_lesion_and_never_a_distant_one():
    mask = lesion(NEAR, FAR)
    edit = confined(mask, (0, 0, 0), np.zeros(SHAPE, bool), Click((6, 6, 1), positive=False), ())
    assert (edit.applied(mask) == lesion(FAR)).all()
    assert edit.region == NEAR


def test_a_positive_click_adds_what_hangs_together_with_it_and_removes_nothing():
    mask = lesion(FAR)
    wanted = lesion(NEAR, (slice(0, 1), slice(20, 28), slice(0, 5)))  # and no longer the far one
    after = confined(mask, (0, 0, 0), wanted, Click((6, 6, 1)), ()).applied(mask)
    assert (after == lesion(NEAR, FAR)).all()


@pytest.mark.parametrize("positive", [True, False])
def test_the_clicked_voxel_is_what_the_click_says_where_the_method_disagrees(positive):
    mask = np.zeros(SHAPE, bool) if positive else np.ones(SHAPE, bool)
    edit = confined(mask, (0, 0, 0), mask, Click((20, 15, 2), positive), ())
    changed = edit.applied(mask) ^ mask
    assert changed[2, 15, 20]
    assert changed.sum() == sum(
        a * a + b * b <= STAMP_RADIUS**2 for a in range(-STAMP_RADIUS, STAMP_RADIUS + 1) for b in range(-2, 3)
    )
    assert not changed[[0, 1, 3]].any()


def test_a_click_into_what_is_right_already_changes_nothing_further_away():
    mask = lesion(NEAR)
    edit = confined(mask, (0, 0, 0), lesion(NEAR, FAR), Click((6, 6, 1)), ())
    assert edit.voxels.size == 0
    assert (edit.applied(mask) == mask).all()


def test_earlier_clicks_stay_what_they_said():
    mask = lesion(NEAR)
    kept = Click((5, 5, 1), positive=True)
    after = confined(mask, (0, 0, 0), np.zeros(SHAPE, bool), Click((8, 8, 2), positive=False), (kept,)).applied(mask)
    assert after[1, 5, 5]
    assert after.sum() == 1


def test_the_same_place_clicked_the_other_way_counts_anew():
    mask = lesion(NEAR)
    again = Click((5, 5, 1), positive=False)
    after = confined(mask, (0, 0, 0), np.zeros(SHAPE, bool), again, (Click((5, 5, 1)),)).applied(mask)
    assert not after.any()


def test_of_a_place_that_was_clicked_both_ways_the_last_word_is_kept():
    mask = lesion(NEAR)  # something else marked the place again after it was clicked away
    before = (Click((5, 5, 1)), Click((5, 5, 1), positive=False))
    away = Click((8, 8, 2), positive=False)
    assert not confined(mask, (0, 0, 0), np.zeros(SHAPE, bool), away, before).applied(mask).any()
    assert confined(mask, (0, 0, 0), np.zeros(SHAPE, bool), away, before[::-1]).applied(mask)[1, 5, 5]


def test_a_window_changes_its_own_part_only():
    mask = lesion((slice(0, 4), slice(0, 30), slice(0, 20)))
    window = np.zeros((2, 10, 10), bool)
    after = confined(mask, (1, 5, 5), window, Click((8, 8, 1), positive=False), ()).applied(mask)
    expected = mask.copy()
    expected[1:3, 5:15, 5:15] = False
    assert (after == expected).all()


def test_the_mask_that_came_is_not_written_to():
    mask = lesion(NEAR)
    mask.flags.writeable = False
    confined(mask, (0, 0, 0), np.zeros(SHAPE, bool), Click((6, 6, 1), positive=False), ()).applied(mask)
