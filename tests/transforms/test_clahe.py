"""CLAHE against scikit-image plane by plane, and where there is nothing to stretch."""

import numpy as np
import pytest
from skimage.exposure import equalize_adapthist

from tests.transforms.pictures import head
from tumorseg.errors import InputError
from tumorseg.transforms.clahe import clahe


def test_a_volume_is_the_stack_of_its_slices():
    volume = head()
    together = clahe(volume)
    assert together.shape == volume.shape
    assert together.dtype == np.float32
    assert (together.min(), together.max()) == (0, 1)
    for plane, changed in zip(volume, together, strict=True):
        scaled = (plane - plane.min()) / float(np.ptp(plane))
        assert np.allclose(changed, equalize_adapthist(scaled, kernel_size=(12, 14), clip_limit=0.02), atol=2e-3)
        assert np.array_equal(clahe(plane), changed)


def test_it_brings_out_what_is_faint():
    plane = head(slices=1)[0].astype(float)
    plane[40:48, 50:58] += 6  # a step of 6 in 255 inside the head
    before = plane[40:48, 50:58].mean() - plane[40:48, 60:64].mean()
    after = clahe(plane)
    assert (after[40:48, 50:58].mean() - after[40:48, 60:64].mean()) * np.ptp(plane) > 1.5 * before


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.float32, np.float64])
def test_the_scale_of_the_intensities_does_not_matter(dtype):
    volume = head()
    assert np.allclose(clahe(volume.astype(dtype) * dtype(3)) if dtype != np.uint8 else clahe(volume), clahe(volume))


@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (2, 1, 9), (3, 2, 33, 17)])
def test_any_size_works(shape):
    changed = clahe(np.random.default_rng(0).random(shape))
    assert changed.shape == shape
    assert np.isfinite(changed).all()


@pytest.mark.parametrize("value", [0, 7, -3])
def test_a_constant_picture_becomes_zero(value):
    assert not clahe(np.full((2, 16, 16), value)).any()


def test_an_empty_slice_does_not_change_the_others():
    volume = head()
    volume[1] = 0
    changed = clahe(volume)
    assert not changed[1].any()
    assert np.array_equal(changed[0], clahe(volume[0]))


@pytest.mark.parametrize("bad", [np.array([1.0, 2.0]), np.array([[np.nan, 1.0], [0.0, 1.0]])])
def test_what_is_no_picture_is_refused(bad):
    with pytest.raises(InputError, match="expected"):
        clahe(bad)


@pytest.mark.parametrize("options", [{"clip_limit": 0}, {"clip_limit": 2}, {"tiles": 0}])
def test_impossible_options_are_refused(options):
    with pytest.raises(InputError, match="clip limit"):
        clahe(head(), **options)
