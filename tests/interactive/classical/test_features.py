from __future__ import annotations

import numpy as np
import pytest

from tests.interactive.classical.scenes import ball, image_of, noisy
from tumorseg.errors import InputError
from tumorseg.interactive.classical import features as module
from tumorseg.interactive.classical.encoded import FURTHEST, UNKNOWN_DISTANCE, distances, encode
from tumorseg.interactive.classical.features import MAX_CHANNELS, features


def test_units_and_outliers_do_not_matter() -> None:
    voxels = noisy(ball((4, 30, 30), 10))
    scaled = voxels * 16 - 1024
    spoiled = voxels.copy()
    spoiled[0, 0, 0, :3] = 1e7
    assert np.abs(features(voxels).astype(float) - features(scaled)).max() < 0.01
    assert np.abs(features(voxels).astype(float) - features(spoiled))[:, 1:].max() < 0.05


def test_soft_tissue_of_a_ct_stays_apart_beside_air_and_metal() -> None:
    """30 units of 4000 are less than one of 100 linear steps."""
    voxels = np.full((1, 4, 40, 40), -1000, np.int16)
    voxels[:, :, 5:35, 5:35] = np.random.default_rng(0).normal(60, 10, (1, 4, 30, 30)).round()
    voxels[:, :, 15:25, 15:25] += 40
    voxels[:, :, 0, 0] = 3000
    seen = features(voxels).astype(float)[0]
    assert seen[:, 18:22, 18:22].mean() - seen[:, 8:12, 8:12].mean() > 0.1


@pytest.mark.parametrize("value", [0, 7, -3.5])
def test_a_constant_image_is_even(value: float) -> None:
    assert not features(np.full((2, 3, 8, 8), value, np.float32)).any()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_voxel_that_is_no_number_is_refused(bad: float) -> None:
    voxels = noisy(ball((4, 30, 30), 10))
    voxels[0, 2, 3, 4] = bad
    with pytest.raises(InputError, match="finite intensities, got 1 voxels"):
        encode(image_of(voxels))


@pytest.mark.parametrize("channels", [1, 2, 3, 6])
def test_memory_does_not_grow_beyond_three_channels(channels: int) -> None:
    encoded = encode(image_of(noisy(ball((4, 30, 30), 10), channels=channels)))
    kept = min(channels, MAX_CHANNELS)
    assert encoded.features.shape == (kept, *encoded.shape)
    assert encoded.nbytes == 2 * kept * np.prod(encoded.shape)
    assert 0 <= encoded.features.min() <= encoded.features.max() <= 1


def test_many_channels_keep_what_one_of_them_shows() -> None:
    """Two of six channels show the object: it must not drown in the noise of the others."""
    truth = ball((4, 30, 30), 10)
    voxels = noisy(truth, channels=6)
    voxels[3] += 60 * truth
    seen = features(voxels).astype(float)
    apart = np.abs(seen[:, truth].mean(1) - seen[:, ~truth].mean(1)) / seen[:, ~truth].std(1)
    assert apart.max() > 3


@pytest.mark.parametrize("slices", [40, 80])
def test_a_sample_sees_every_column(monkeypatch: pytest.MonkeyPatch, slices: int) -> None:
    """A CT of 391 slices of 512 x 512 has 512 times the voxels of a sample: its first column is air in every row."""
    monkeypatch.setattr(module, "SAMPLE", slices * 64 * 64 // 64)
    voxels = noisy(ball((20, 30, 30), 12, (slices, 64, 64)))
    voxels[..., 0] = -1000
    seen = features(voxels)
    assert seen[0, 20, 30, 30] > seen[0, 20, 5, 5] + 0.2


def test_a_component_that_is_rounding_is_not_stretched_to_noise() -> None:
    """Four sequences of which two are copies, or a grey picture with a fourth channel of one value."""
    grey = noisy(ball((4, 30, 30), 10))[0]
    for voxels in (np.stack([grey] * 4), np.stack([grey, grey, grey, np.full_like(grey, 255)])):
        seen = features(voxels)
        assert seen[0].std() > 0.05
        assert not seen[1:].any()


def test_distances_are_in_pixels_and_bounded() -> None:
    voxels = noisy(ball((4, 30, 30), 10))
    assert distances(image_of(voxels, (0.5, 0.5, 3.0))) == (6.0, 1.0, 1.0)
    assert distances(image_of(voxels, (0.5, 1.0, 100.0))) == (FURTHEST, 2.0, 1.0)
    assert distances(image_of(voxels, (1.0, 1.0, 1.0), known=False)) == (UNKNOWN_DISTANCE, 1.0, 1.0)
