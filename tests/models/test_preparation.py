"""The way to the network's slices, and back."""

from dataclasses import replace

import numpy as np
import pytest

from tests.test_geometry import AXIS_ALIGNED, axis_aligned
from tumorseg.errors import InputError
from tumorseg.geometry import Grid, affine_from_parts, to_axial
from tumorseg.models.preparation import CONTRASTS, prepare, preprocess
from tumorseg.transforms.clahe import clahe
from tumorseg.transforms.equalise import equalise
from tumorseg.transforms.intensity import zscore_foreground
from tumorseg.types import StudyImage

CHANNELS = ("T1", "FLAIR", "T1Gd")


def volume(grid):
    voxels = np.random.default_rng(0).integers(0, 255, (3, *grid.shape), dtype=np.uint8)
    return StudyImage(voxels, grid, CHANNELS, modality="MR")


@pytest.mark.parametrize(("permutation", "signs"), AXIS_ALIGNED[::5])
def test_what_is_said_of_a_slice_stays_with_that_slice(permutation, signs):
    grid = axis_aligned(permutation, signs, (6, 40, 48), (1.0, 1.0, 1.0))
    image = volume(grid)
    prepared = prepare(image, CHANNELS, 16)
    numbers = np.arange(prepared.slices.shape[1], dtype=np.float32)
    by_slice = prepared.along(numbers)
    everywhere = prepared.restore(prepared.uncut(np.broadcast_to(numbers[:, None, None], prepared.slices.shape[1:])))
    assert everywhere.shape == grid.shape
    line = np.moveaxis(everywhere, prepared.axis, 0).reshape(len(numbers), -1).max(axis=1)
    assert np.array_equal(line, by_slice)
    assert np.array_equal(prepared.along(by_slice), numbers)
    assert prepared.axis == to_axial(grid).order[0]


def test_resampled_slices_come_back_to_their_place():
    grid = Grid((4, 96, 80), affine_from_parts([0, 0, 0], np.eye(3), [0.45, 0.45, 5]))
    prepared = prepare(volume(grid), CHANNELS, 16)
    assert prepared.working.shape[0] == 4
    assert prepared.working.shape[1] < 96
    ones = prepared.restore(np.ones(prepared.working.shape, np.float32))
    assert ones.shape == grid.shape
    assert (ones > 0.99).all()


def test_around_the_head_is_zero():
    grid = Grid((2, 96, 96), np.eye(4))
    voxels = np.zeros((3, 2, 96, 96))
    voxels[:, :, 30:60, 40:70] = np.random.default_rng(0).random((3, 2, 30, 30)) + 1
    prepared = prepare(StudyImage(voxels, grid, CHANNELS, modality="MR"), CHANNELS, 16)
    whole = prepared.uncut(np.ones(prepared.slices.shape[1:], np.float32))
    assert whole[:, 30:60, 40:70].all()
    assert whole.sum() == prepared.slices[0].size < whole.size


@pytest.mark.parametrize(("contrast", "change"), [("none", np.asarray), ("clahe", clahe), ("equalise", equalise)])
def test_contrast_comes_before_the_z_score(contrast, change):
    image = volume(Grid((2, 40, 40), np.eye(4)))
    assert contrast in CONTRASTS
    assert np.array_equal(preprocess(image, contrast), zscore_foreground(change(image.voxels)))


def test_an_unknown_contrast_is_said():
    with pytest.raises(InputError, match="clahe, equalise, got 'gamma'"):
        preprocess(volume(Grid((1, 8, 8), np.eye(4))), "gamma")


def test_voxels_that_are_not_finite_are_refused():
    image = volume(Grid((1, 8, 8), np.eye(4)))
    with pytest.raises(InputError, match="192 voxels are not finite"):
        preprocess(replace(image, voxels=np.full(image.voxels.shape, np.nan)))
