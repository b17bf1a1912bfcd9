"""The brain crop holds the brain, and its inverse puts every voxel back where it was."""

import os
from pathlib import Path

import numpy as np
import pytest

from tests.transforms.pictures import head
from tumorseg.errors import InputError
from tumorseg.transforms.brain_crop import PlaneCrop, brain_crop
from tumorseg.transforms.crop import head_box

DTYPES = [np.bool_, np.uint8, np.int16, np.uint16, np.int32, np.float16, np.float32, np.float64]
LGG = Path(os.environ.get("TUMORSEG_DATA", "")) / "lgg"


def inside(crop, voxels):
    return voxels[..., crop.rows, crop.columns]


@pytest.mark.parametrize(("rows", "columns"), [(96, 112), (97, 131), (64, 200)])
def test_it_holds_the_head_and_leaves_the_air(rows, columns):
    crop = brain_crop(head(rows, columns))
    assert crop.rows.start <= rows / 4
    assert crop.rows.stop >= rows * 3 / 4
    assert crop.columns.start <= columns / 4
    assert crop.columns.stop >= columns * 3 / 4
    assert crop.rows.start > 0 or crop.columns.start > 0
    assert crop.shape == (rows, columns)
    assert inside(crop, head(rows, columns)).shape[-2] * inside(crop, head(rows, columns)).shape[-1] < rows * columns


def test_a_volume_has_one_box_that_holds_those_of_its_slices():
    volume = np.zeros((2, 96, 96), np.uint8)
    volume[0, 10:50, 12:40] = head(80, 56, 1)[0, 20:60, 14:42]
    volume[1, 40:80, 50:78] = head(80, 56, 1)[0, 20:60, 14:42]
    crop = brain_crop(volume)
    for plane in volume:
        single = brain_crop(plane)
        assert crop.rows.start <= single.rows.start
        assert crop.rows.stop >= single.rows.stop
        assert crop.columns.start <= single.columns.start
        assert crop.columns.stop >= single.columns.stop


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(31, 45), (3, 31, 45), (2, 3, 31, 45)])
def test_the_round_trip_is_exact(dtype, shape):
    crop = PlaneCrop(slice(4, 17), slice(0, 45), (31, 45))
    voxels = (np.random.default_rng(0).random(shape) * 100).astype(dtype)
    cut = crop.apply(voxels)
    assert cut.flags["C_CONTIGUOUS"]
    back = crop.invert(cut)
    assert back.dtype == voxels.dtype
    assert back.shape == voxels.shape
    assert np.array_equal(inside(crop, back), inside(crop, voxels))
    outside = np.ones(shape, bool)
    inside(crop, outside)[...] = False
    assert not back[outside].any()
    assert np.array_equal(crop.apply(back), cut)


def test_the_background_is_what_was_asked_for():
    crop = PlaneCrop(slice(1, 2), slice(1, 2), (3, 3))
    assert crop.invert(np.array([[5]], np.int16), background=-1024).tolist() == [
        [-1024, -1024, -1024],
        [-1024, 5, -1024],
        [-1024, -1024, -1024],
    ]


@pytest.mark.parametrize(
    "empty",
    [np.zeros((2, 40, 30)), np.full((40, 30), 7.0), np.full((40, 30), -7.0), np.ones((1, 1)), np.zeros((1, 1, 1))],
)
def test_without_anything_to_see_it_is_the_whole_picture(empty):
    crop = brain_crop(empty)
    assert np.array_equal(crop.invert(crop.apply(empty)), empty)


def test_one_bright_voxel_stays_inside():
    picture = np.zeros((41, 37))
    picture[20, 30] = 100
    crop = brain_crop(picture)
    assert crop.invert(crop.apply(picture))[20, 30] == 100


def test_an_empty_slice_in_a_volume_changes_nothing():
    volume = head()
    with_empty = np.concatenate([volume, np.zeros_like(volume[:1])])
    assert brain_crop(with_empty) == brain_crop(volume)


def test_anisotropic_pixels_are_pixels():
    """A slice of twice as fine columns: the box is the same part of the picture."""
    coarse, fine = brain_crop(head(96, 96)), brain_crop(np.repeat(head(96, 96), 2, axis=2))
    assert abs(fine.columns.start / 2 - coarse.columns.start) <= 4
    assert abs(fine.columns.stop / 2 - coarse.columns.stop) <= 4


def test_other_sizes_than_its_own_are_refused():
    crop = PlaneCrop(slice(1, 3), slice(1, 3), (4, 4))
    with pytest.raises(InputError, match=r"expected planes of \(4, 4\)"):
        crop.apply(np.zeros((5, 4)))
    with pytest.raises(InputError, match=r"expected the cut planes of \(2, 2\)"):
        crop.invert(np.zeros((4, 4)))


@pytest.mark.parametrize("bad", [np.zeros(4), np.zeros((1, 1, 1, 4, 4)), np.array([[np.nan, 0.0]])])
def test_what_is_no_picture_is_refused(bad):
    with pytest.raises(InputError, match="expected"):
        brain_crop(bad)


def lgg_patients():
    """Yield every real patient's ``(C, K, J, I)`` voxels and ``(K, J, I)`` mask."""
    from PIL import Image

    for folder in sorted(path for path in LGG.iterdir() if path.is_dir()):
        pictures = sorted(folder.glob("*.webp"), key=lambda path: int(path.stem.rsplit("_", 1)[1]))
        slices = [np.asarray(Image.open(path).convert("RGB")) for path in pictures]
        masks = [path.with_name(f"{path.stem}_mask.png") for path in pictures]
        truth = [np.asarray(Image.open(mask)) > 0 if mask.exists() else np.zeros((256, 256), bool) for mask in masks]
        yield np.stack(slices).transpose(3, 0, 1, 2), np.stack(truth)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.skipif(
    "TUMORSEG_DATA" not in os.environ or not LGG.is_dir(), reason="TUMORSEG_DATA with lgg/ is not there"
)
@pytest.mark.parametrize(("box", "kept_at_most"), [("brain_crop", 0.85), ("head_box", 0.72)])
def test_no_tumour_of_a_real_patient_is_cut_away(box, kept_at_most):
    kept = []
    for voxels, truth in lgg_patients():
        if box == "brain_crop":
            crop = brain_crop(voxels)
            rows, columns = crop.rows, crop.columns
        else:
            rows, columns = head_box(voxels, 32)
        assert truth[:, rows, columns].sum() == truth.sum()
        kept.append((rows.stop - rows.start) * (columns.stop - columns.start) / truth[0].size)
    assert len(kept) >= 88
    assert np.mean(kept) < kept_at_most
