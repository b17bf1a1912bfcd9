from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tumorseg.geometry import Grid
from tumorseg.interactive.foundation.grey import CT_WINDOW, is_colour, sequence, shown, window
from tumorseg.types import FLAIR, T1, StudyImage


def image(voxels: NDArray[np.generic], channels: tuple[str, ...]) -> StudyImage:
    return StudyImage(voxels, Grid((1, 2, 2), np.eye(4)), channels)


def test_flair_is_seen_wherever_it_stands_and_else_the_first() -> None:
    voxels = np.arange(8, dtype=np.float32).reshape(2, 1, 2, 2)
    assert sequence(image(voxels, (T1, FLAIR))).max() == 7
    assert sequence(image(voxels, ("", ""))).max() == 3


def test_a_picture_has_colours_and_three_sequences_have_none() -> None:
    assert is_colour(image(np.zeros((3, 1, 2, 2), np.uint8), ("", "", "")))
    assert not is_colour(image(np.zeros((3, 1, 2, 2), np.uint8), (T1, FLAIR, T1)))
    assert not is_colour(image(np.zeros((3, 1, 2, 2), np.float32), ("", "", "")))
    assert not is_colour(image(np.zeros((1, 1, 2, 2), np.uint8), ("",)))


def test_air_and_a_hot_pixel_do_not_set_the_window() -> None:
    voxels = np.zeros((1, 100, 100), np.float32)
    voxels[0, 50:] = np.linspace(100, 200, 5000).reshape(50, 100)
    voxels[0, 50, 0] = 1e6
    low, high = window(voxels, "MR")
    assert (low, high) == pytest.approx((100.5, 199.5), abs=0.2)


def test_hounsfield_units_have_a_window_of_their_own() -> None:
    assert window(np.zeros((1, 2, 2), np.int16), "CT") == CT_WINDOW


@pytest.mark.parametrize("value", [0.0, 5.0, np.nan])
def test_an_image_of_one_value_has_a_window(value: float) -> None:
    low, high = window(np.full((1, 2, 2), value, np.float32), "MR")
    assert high > low
    assert not shown(np.full((1, 2, 2), value, np.float32), low, high).any()


def test_values_are_cut_at_black_and_white() -> None:
    values = np.array([-np.inf, np.nan, 10, 60, 110, 500, np.inf], np.float32)
    assert shown(values, 10.0, 110.0).tolist() == [0, 0, 0, 128, 255, 255, 255]
