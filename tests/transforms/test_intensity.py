"""Normalisation looks at the head, not at the air."""

import numpy as np
import pytest

from tumorseg.transforms.dictionary import ZScoreForegroundd
from tumorseg.transforms.intensity import CLIP, zscore_foreground


def head(scale=1.0, offset=0.0, air=0.0):
    rng = np.random.default_rng(0)
    voxels = np.full((2, 10, 32, 32), air)
    voxels[:, 2:8, 8:24, 8:24] = rng.normal(100, 10, (2, 6, 16, 16))
    return voxels * scale + offset


def test_the_foreground_has_zero_mean_and_unit_deviation():
    out = zscore_foreground(head())
    inside = out[:, 2:8, 8:24, 8:24]
    assert out.dtype == np.float32
    assert np.abs(inside.mean(axis=(1, 2, 3))).max() < 0.01
    assert np.abs(inside.std(axis=(1, 2, 3)) - 1).max() < 0.05
    assert out.min() == -CLIP


def test_scale_and_more_air_change_nothing():
    base = zscore_foreground(head())
    assert np.allclose(zscore_foreground(head(scale=37.0)), base, atol=1e-4)
    padded = np.pad(head(), ((0, 0), (0, 0), (16, 16), (16, 16)))
    assert np.allclose(zscore_foreground(padded)[..., 16:-16, 16:-16], base, atol=0.02)


def test_channels_do_not_see_each_other():
    voxels = head()
    voxels[1] *= 50
    assert np.allclose(zscore_foreground(voxels)[0], zscore_foreground(head())[0])


@pytest.mark.parametrize("value", [0.0, 5.0, -3.0])
def test_a_constant_channel_becomes_zero(value):
    assert not zscore_foreground(np.full((1, 2, 8, 8), value)).any()


def test_the_monai_transform_is_the_same_function():
    out = ZScoreForegroundd(keys=["image"])({"image": head(), "other": 1})
    assert np.array_equal(out["image"], zscore_foreground(head()))
    assert out["other"] == 1
