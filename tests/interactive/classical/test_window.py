from __future__ import annotations

import numpy as np
import pytest

from tests.interactive.classical.scenes import ball, dice, image_of, noisy
from tumorseg.interactive.classical import window as module
from tumorseg.interactive.classical.encoded import encode
from tumorseg.interactive.classical.window import Window, grown, solve

TRUTH = ball((4, 30, 36), 14)


def test_a_region_grows_up_to_the_end_of_the_volume() -> None:
    region = grown((slice(0, 1), slice(3, 5), slice(60, 72)), (2, 2, 5), (9, 64, 72))
    assert region == (slice(0, 3), slice(1, 7), slice(55, 72))


def test_a_window_beyond_the_budget_has_the_outline_of_the_full_resolution(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = encode(image_of(noisy(TRUTH)))
    window = Window.of(encoded, tuple(slice(0, size) for size in encoded.shape))
    prior = np.clip(window.features[0], 0.05, 0.95)
    none = np.zeros(window.shape, np.int8)
    exact = solve(window, prior, none) > 0.5
    monkeypatch.setattr(module, "BUDGET", exact.size // 7)
    assert dice(solve(window, prior, none) > 0.5, exact) > 0.97


@pytest.mark.parametrize("most", [1, 100, 3000, 10**9])
def test_steps_of_a_large_window_map_there_and_back(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """Odd sizes: the last step is cut short, and nothing may move by a voxel."""
    monkeypatch.setattr(module, "LARGEST", most)
    encoded = encode(image_of(noisy(TRUTH)))
    region = (slice(1, 8), slice(5, 60), slice(3, 70))
    window = Window.of(encoded, region)
    assert np.prod(window.shape) <= most
    where = np.arange(TRUTH.size).reshape(TRUTH.shape)
    full = window.full(window.cut(where))
    assert full.shape == where[region].shape
    for at in ((3, 5, 1), (40, 33, 4), (69, 59, 7)):
        k, j, i = (index - start for index, start in zip(at[::-1], window.origin, strict=True))
        assert full[k, j, i] == window.cut(where)[window.place(at)]
