"""Specks are found; lesions are left alone."""

import numpy as np

from tumorseg.transforms.components import specks


def mask():
    out = np.zeros((6, 20, 20), bool)
    out[1:4, 2:12, 2:12] = True  # 300 voxels
    out[5, 18:20, 15:20] = True  # 10 voxels, 3.3 %
    out[0, 15:19, 0:5] = True  # 20 voxels, 6.7 %
    return out


def test_parts_below_the_fraction_are_specks():
    found = specks(mask(), 0.05)
    assert found.sum() == 10
    assert found[5, 18:20, 15:20].all()
    assert specks(mask(), 0.1).sum() == 30


def test_parts_that_touch_at_a_corner_are_one():
    joined = mask()
    joined[4, 12, 12] = True  # shares a corner with the large part
    assert not specks(joined, 0.01).any()


def test_nothing_is_a_speck_of_nothing():
    assert not specks(np.zeros((2, 3, 4), bool), 0.5).any()
    assert not specks(mask(), 0.0).any()
    one = np.zeros((2, 3, 4), bool)
    one[1, 2, 3] = True
    assert not specks(one, 1.0).any()
