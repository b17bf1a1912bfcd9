"""The head box never loses the head."""

import numpy as np
import pytest

from tumorseg.transforms.crop import head_box


def picture(rows, columns, shape=(4, 128, 160)):
    voxels = np.random.default_rng(0).random((2, *shape)) * 3
    voxels[1, :, rows, columns] = 100
    return voxels


def test_the_box_holds_the_head_with_a_margin_and_divides():
    rows, columns = head_box(picture(slice(40, 70), slice(30, 100)), 32)
    assert rows.start <= 32
    assert rows.stop >= 78
    assert columns.start <= 22
    assert columns.stop >= 108
    assert (rows.stop - rows.start) % 32 == (columns.stop - columns.start) % 32 == 0


@pytest.mark.parametrize("rows", [slice(0, 20), slice(108, 128), slice(0, 128)])
def test_a_head_at_the_edge_stays_inside_the_picture(rows):
    box, _ = head_box(picture(rows, slice(50, 60)), 32)
    assert 0 <= box.start <= rows.start
    assert rows.stop <= box.stop <= 128


def test_without_a_head_it_is_the_whole_picture():
    assert head_box(np.zeros((1, 2, 50, 60)), 32) == (slice(0, 50), slice(0, 60))


def test_a_picture_smaller_than_the_multiple_stays_whole():
    assert head_box(picture(slice(5, 9), slice(5, 9), (1, 20, 20)), 32) == (slice(0, 20), slice(0, 20))
