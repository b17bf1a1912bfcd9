"""Corrections that can be counted on the fingers: what was changed, drawn, deleted, or taken as it was."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tumorseg.errors import InputError
from tumorseg.labels.effort import comparable, contour, edit

SHAPE = (2, 5, 6)


def square(j: int, i: int, size: int = 3, value: int = 1, k: int = 0) -> NDArray[np.uint8]:
    label = np.zeros(SHAPE, np.uint8)
    label[k, j : j + size, i : i + size] = value
    return label


def test_a_shifted_square_counted_by_hand() -> None:
    # 3 x 3 moved by one column: 6 of 9 stay, 3 are added, 3 removed. Of the 8 pixels around the final square 3 are new
    # and one was the middle of the proposal; the 4 others were on its contour.
    found = edit(square(1, 1), square(1, 2), (2.0, 0.5, 0.5))
    assert (found.changed, found.added, found.removed, found.final) == (6, 3, 3, 9)
    assert found.dice == pytest.approx(2 * 6 / 18)
    assert found.share == pytest.approx(6 / 9)
    assert found.path == 4
    assert found.ml == pytest.approx(6 * 0.5 / 1000)
    assert not found.unchanged


def test_what_was_taken_as_it_is_has_no_path() -> None:
    found = edit(square(1, 1), square(1, 1))
    assert (found.dice, found.changed, found.path, found.share, found.ml) == (1.0, 0, 0, 0.0, None)
    assert found.unchanged


def test_deleting_a_false_lesion_changes_voxels_and_adds_no_path() -> None:
    found = edit(square(1, 1) + square(0, 0, 2, k=1), square(1, 1))
    assert (found.changed, found.added, found.removed, found.path) == (4, 0, 4, 0)
    assert found.dice == pytest.approx(2 * 9 / 22)


def test_another_class_on_the_same_voxels_is_a_change_and_its_contour_was_drawn() -> None:
    found = edit(square(1, 1, value=1), square(1, 1, value=2))
    assert (found.dice, found.changed, found.added, found.removed) == (0.0, 9, 0, 0)
    assert found.path == 8


def test_empty_masks_on_either_side() -> None:
    nothing = np.zeros(SHAPE, np.uint8)
    assert edit(nothing, nothing).dice == 1.0
    assert edit(nothing, nothing).unchanged
    drawn, deleted = edit(nothing, square(1, 1)), edit(square(1, 1), nothing)
    assert (drawn.dice, drawn.changed, drawn.added, drawn.path, drawn.share) == (0.0, 9, 9, 8, 1.0)
    assert (deleted.dice, deleted.changed, deleted.removed, deleted.path, deleted.share) == (0.0, 9, 9, 0, None)


def test_labels_at_the_edge_of_the_picture_have_their_contour_there() -> None:
    whole = np.ones((1, 4, 5), np.uint8)
    assert int(contour(whole).sum()) == 2 * 4 + 2 * 5 - 4
    assert edit(np.zeros_like(whole), whole).path == 14
    assert edit(np.zeros((3, 1, 1), np.uint8), np.ones((3, 1, 1), np.uint8)).path == 3


def test_a_contour_is_one_of_its_slice_and_not_of_the_volume() -> None:
    column = np.zeros((3, 5, 5), np.uint8)
    column[:, 1:4, 1:4] = 1
    assert int(contour(column).sum()) == 3 * 8  # the middle pixel of the first slice has no neighbour above


def test_masks_of_two_sizes_are_refused() -> None:
    with pytest.raises(InputError, match="one shape"):
        edit(square(1, 1), np.zeros((2, 5, 5), np.uint8))


def test_one_class_each_is_the_same_whatever_it_is_called() -> None:
    marked = square(1, 1) > 0
    assert edit(*comparable({"tumor": marked}, {"Läsion": marked}, SHAPE)).unchanged
    assert edit(*comparable({}, {"tumor": marked}, SHAPE)).added == 9
    assert edit(*comparable({}, {}, SHAPE)).dice == 1.0


def test_several_classes_go_by_name_and_may_overlap() -> None:
    one, other = square(0, 0) > 0, square(1, 1) > 0
    before = {"core": one, "oedema": other}
    assert edit(*comparable(before, {"oedema": other, "core": one}, SHAPE)).unchanged
    swapped = edit(*comparable(before, {"core": other, "oedema": one}, SHAPE))
    assert swapped.changed == int((one ^ other).sum())
    assert (swapped.added, swapped.removed) == (0, 0)


def test_what_panels_keep_beside_the_classes_does_not_count() -> None:
    marked = square(1, 1) > 0
    assert edit(*comparable({"tumor": marked}, {"tumor": marked, "background": ~marked}, SHAPE)).unchanged


def test_many_classes_are_told_apart() -> None:
    one = square(1, 1) > 0
    many = {f"class {number}": one if number == 40 else one & False for number in range(64)}
    assert edit(*comparable(many, many, SHAPE)).unchanged
    assert edit(*comparable(many, {**many, "class 40": one & False, "class 41": one}, SHAPE)).changed == 9
    with pytest.raises(InputError, match="at most 64 classes"):
        comparable({**many, "another": one}, {}, SHAPE)
