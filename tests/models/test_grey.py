"""What the picture networks see of an image."""

import numpy as np
import pytest

from tumorseg.errors import InputError
from tumorseg.geometry import Grid
from tumorseg.models.grey import LUMA, grey_slices
from tumorseg.types import StudyImage


def image(voxels, channels):
    return StudyImage(voxels, Grid(voxels.shape[1:], np.eye(4)), channels)


def test_flair_is_preferred_and_said():
    voxels = np.zeros((2, 1, 8, 8), np.uint8)
    voxels[1, 0, :4] = 200
    grey, notes = grey_slices(image(voxels, ("T1", "FLAIR")))
    assert grey[0, 0, 0] == 1
    assert grey[0, 7, 7] == 0
    assert "FLAIR" in notes[0]
    assert "T1" in notes[0]


def test_colour_becomes_luminance():
    voxels = np.random.default_rng(0).integers(0, 256, (3, 1, 30, 30)).astype(np.uint8)
    grey, notes = grey_slices(image(voxels, ("", "", "")))
    luma = np.tensordot(LUMA, voxels.astype(float), 1)
    assert np.corrcoef(grey.ravel(), luma.ravel())[0, 1] > 0.999
    assert not notes


@pytest.mark.parametrize("scale", [1, 16, 0.001])
def test_the_unit_of_the_voxels_does_not_matter(scale):
    voxels = np.random.default_rng(0).random((1, 2, 40, 40)).astype(np.float32) * 255
    assert grey_slices(image(voxels * scale, ("",)))[0] == pytest.approx(grey_slices(image(voxels, ("",)))[0], abs=1e-3)


def test_a_volume_is_stretched_as_a_whole():
    voxels = np.zeros((1, 2, 10, 10), np.uint8)
    voxels[0, 0, :5], voxels[0, 1, :5] = 50, 100
    grey, _ = grey_slices(image(voxels, ("",)))
    assert grey[0].max() == pytest.approx(0.5)
    assert grey[1].max() == 1


def test_a_constant_or_nearly_constant_picture_is_answered():
    assert not grey_slices(image(np.full((1, 1, 9, 9), 7, np.uint8), ("",)))[0].any()
    single = np.zeros((1, 1, 100, 100), np.uint8)
    single[0, 0, 5, 5] = 9
    assert grey_slices(image(single, ("",)))[0][0, 5, 5] == 1


def test_what_is_not_finite_is_refused():
    voxels = np.zeros((1, 1, 4, 4), np.float32)
    voxels[0, 0, 0, 0] = np.nan
    with pytest.raises(InputError, match="1 voxels are not finite"):
        grey_slices(image(voxels, ("",)))
