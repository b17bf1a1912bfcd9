"""Histogram equalisation: a case counted by hand, and where there is nothing to spread."""

import numpy as np
import pytest

from tests.transforms.pictures import head
from tumorseg.errors import InputError
from tumorseg.transforms.equalise import equalise


def test_a_value_becomes_the_share_of_pixels_that_are_not_brighter():
    assert equalise(np.array([[0, 0, 0], [10, 10, 200]])).tolist() == [
        [0.5, 0.5, 0.5],
        [pytest.approx(5 / 6)] * 2 + [1],
    ]


def test_the_result_is_spread_evenly():
    plane = np.random.default_rng(0).gamma(2, 10, (200, 200))
    counts, _ = np.histogram(equalise(plane), bins=10, range=(0, 1))
    assert counts.max() / counts.min() < 1.6
    counts, _ = np.histogram(plane / plane.max(), bins=10, range=(0, 1))
    assert counts.max() / counts.min() > 100


def test_the_order_of_the_intensities_stays():
    plane = head(slices=1)[0]
    order = np.argsort(plane, axis=None, kind="stable")
    assert (np.diff(equalise(plane).ravel()[order]) >= -1e-6).all()


def test_a_volume_is_the_stack_of_its_slices():
    volume = head()
    assert np.array_equal(equalise(volume), np.stack([equalise(plane) for plane in volume]))
    assert equalise(volume).dtype == np.float32


@pytest.mark.parametrize("shape", [(1, 1), (1, 5, 1), (2, 3, 13, 7)])
def test_any_size_works(shape):
    assert equalise(np.random.default_rng(0).random(shape)).shape == shape


def test_a_constant_picture_becomes_zero():
    assert not equalise(np.full((4, 4), 9)).any()


def test_infinity_is_refused():
    with pytest.raises(InputError, match="finite"):
        equalise(np.array([[np.inf, 0.0]]))
