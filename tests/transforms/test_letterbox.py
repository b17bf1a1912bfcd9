"""Slices on a square and back."""

import numpy as np
import pytest
import torch

from tumorseg.errors import InputError
from tumorseg.transforms.letterbox import Letterbox

SIZES = [(256, 256), (100, 200), (313, 561), (1, 50), (700, 33), (64, 64)]


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_the_square_holds_the_whole_slice_and_zeros(height, width):
    box = Letterbox(height, width, 64)
    square = box.apply(torch.ones(2, height, width))
    assert square.shape == (2, 64, 64)
    assert float(square.sum()) == pytest.approx(2 * box.size[0] * box.size[1], rel=1e-5)
    top, left = box.corner
    assert torch.allclose(square[:, top : top + box.size[0], left : left + box.size[1]], torch.ones(1))


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_the_box_around_the_slice_comes_back_as_the_slice(height, width):
    box = Letterbox(height, width, 64)
    (top, left), (rows, columns) = box.corner, box.size
    back = box.boxes_back(np.array([[left, top, left + columns, top + rows]], float))
    assert back == pytest.approx(np.array([[0, 0, width, height]]))


def test_a_bright_square_is_found_where_it_was():
    slice_ = torch.zeros(1, 120, 300)
    slice_[0, 30:60, 150:240] = 1
    box = Letterbox(120, 300, 100)
    rows, columns = np.where(box.apply(slice_)[0] >= 0.5)
    found = np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]], float)
    assert box.boxes_back(found) == pytest.approx(np.array([[150, 30, 240, 60]]), abs=1.6)


def test_a_slice_of_the_right_size_is_not_touched():
    slice_ = torch.rand(3, 64, 64)
    assert torch.equal(Letterbox(64, 64, 64).apply(slice_), slice_)


def test_boxes_are_cut_at_the_edges_of_the_slice():
    back = Letterbox(50, 100, 100).boxes_back(np.array([[-5.0, 0, 120, 100]]))
    assert back.tolist() == [[0, 0, 100, 50]]


def test_nothing_is_no_slice():
    with pytest.raises(InputError, match="0 x 5"):
        Letterbox(0, 5, 64)
