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


def drawn(grid):
    """A mask without any symmetry, well inside of the picture."""
    k, j, i = np.indices(grid.shape)
    return (k + 2 * j + 3 * i) % 7 < 3


@pytest.mark.parametrize(("permutation", "signs"), AXIS_ALIGNED)
def test_a_mask_goes_where_its_image_goes_and_comes_back_voxel_for_voxel(permutation, signs):
    grid = axis_aligned(permutation, signs, (6, 40, 48), (1.0, 1.0, 1.0))
    mask = drawn(grid)
    image = replace(volume(grid), voxels=np.stack([mask * 200 + 50] * 3).astype(np.uint8))
    prepared = prepare(image, CHANNELS, 16)
    cut = prepared.cut(mask)
    assert cut.shape == prepared.slices.shape[1:]
    assert np.array_equal(prepared.slices[0] > prepared.slices[0].mean(), cut > 0), "the mask lies on what it marks"
    assert np.array_equal(prepared.restore(prepared.uncut(cut)) > 0, mask)


@pytest.mark.parametrize("pixel_mm", [0.45, 2.0])
@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1)])
def test_a_mask_that_is_resampled_comes_back_nearly_as_it_was(pixel_mm, axes):
    steps = [pixel_mm, pixel_mm, 5.0]
    direction = np.eye(3)[:, list(axes)]
    shape = [0, 0, 0]
    for axis, size in zip(axes, (80, 96, 4), strict=True):
        shape[2 - list(axes).index(axis)] = size
    grid = Grid(tuple(shape), affine_from_parts([0, 0, 0], direction, [steps[axis] for axis in axes]))
    where = grid.points(np.argwhere(np.ones(grid.shape))[:, ::-1])
    middle = (where.min(axis=0) + where.max(axis=0)) / 2
    mask = (np.linalg.norm((where - middle)[:, :2], axis=1) < 14 * pixel_mm).reshape(grid.shape)
    prepared = prepare(volume(grid), CHANNELS, 16)
    assert not prepared.working.same_as(prepared.turn.grid(grid))
    again = prepared.restore(prepared.uncut(prepared.cut(mask))) >= 0.5
    assert 2 * (again & mask).sum() / (again.sum() + mask.sum()) > 0.95


def test_a_mask_of_another_shape_is_refused():
    grid = Grid((2, 40, 48), np.eye(4))
    with pytest.raises(InputError, match="expected a mask"):
        prepare(volume(grid), CHANNELS, 16).cut(np.zeros((2, 48, 40)))
