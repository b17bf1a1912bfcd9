"""Filling, tracing, crossing: small cases by hand, and random ones against each other."""

from __future__ import annotations

import numpy as np
import pytest

from tests.annotations.sets import blob
from tumorseg.annotations import Region
from tumorseg.annotations.crossings import crosses_itself
from tumorseg.annotations.outline import fill_box, fill_polygons, polygon_of
from tumorseg.annotations.trace import parts, trace
from tumorseg.errors import InputError

SQUARE = np.array([[1, 1], [4, 1], [4, 3], [1, 3]], float)


def test_a_pixel_is_inside_when_its_centre_is() -> None:
    filled = fill_polygons([SQUARE], 5, 6)
    expected = np.zeros((5, 6), bool)
    expected[1:3, 1:4] = True
    np.testing.assert_array_equal(filled, expected)
    np.testing.assert_array_equal(fill_box(np.array([1, 1, 4, 3]), 5, 6), expected)
    np.testing.assert_array_equal(fill_polygons([SQUARE + 0.4], 5, 6), expected)
    np.testing.assert_array_equal(fill_polygons([SQUARE - 0.6], 5, 6)[:2, :3], expected[1:3, 1:4])


def test_what_is_outside_is_cut_off() -> None:
    assert fill_polygons([SQUARE - 3], 5, 6).sum() == 0
    assert fill_polygons([SQUARE * 100 - 200], 5, 6).all()
    assert fill_box(np.array([-5, -5, 50, 50]), 5, 6).all()


@pytest.mark.parametrize("seed", range(20))
def test_tracing_undoes_filling(seed: int) -> None:
    rng = np.random.default_rng(seed)
    size = (int(rng.integers(1, 30)), int(rng.integers(1, 30)))
    mask = blob(size, rng) if seed % 2 else rng.random(size[::-1]) < 0.5
    np.testing.assert_array_equal(fill_polygons(trace(mask), *mask.shape), mask)


def test_one_pixel_a_ring_and_nothing() -> None:
    assert trace(np.zeros((3, 3), bool)) == ()
    one = np.zeros((3, 4), bool)
    one[1, 2] = True
    (outline,) = trace(one)
    assert sorted(map(tuple, outline)) == [(2, 1), (2, 2), (3, 1), (3, 2)]
    ring = np.ones((5, 5), bool)
    ring[2, 2] = False
    np.testing.assert_array_equal(fill_polygons(trace(ring), 5, 5), ring)
    assert not crosses_itself(trace(ring)[0])


def test_parts_hang_together_over_corners() -> None:
    mask = np.array([[1, 0, 0, 0], [0, 1, 0, 1]], bool)
    assert [part.sum() for part in parts(mask)] == [2, 1]
    assert len(trace(mask)) == 3


@pytest.mark.parametrize(
    ("points", "crosses"),
    [
        (SQUARE, False),
        (SQUARE[[0, 2, 1, 3]], True),  # a bow tie
        (np.array([[0, 0], [4, 0], [4, 4], [2, 0], [0, 4]]), False),  # touches itself in a point
        (np.array([[0, 0], [9, 0], [9, 9], [0, 9], [0, 0], [3, 3], [6, 3], [6, 6], [3, 3]]), False),  # a cut to a hole
    ],
)
def test_crossing(points: np.ndarray, crosses: bool) -> None:
    assert crosses_itself(points) is crosses


@pytest.mark.parametrize(
    ("points", "says"),
    [
        ([[0, 0], [1, 1]], "has 2 points"),
        ([[0, 0], [1, 1], [2, 2]], "on one line"),
        ([[0, 0], [0, 0], [0, 0], [0, 0]], "on one line"),
        ([[0, 0], [1, 1], [np.nan, 2]], "not finite"),
    ],
)
def test_what_encloses_nothing(points: list[list[float]], says: str) -> None:
    with pytest.raises(InputError, match=says):
        polygon_of("it", np.array(points, float))


def test_a_region_says_where_it_is() -> None:
    with pytest.raises(InputError, match="needs a polygon, a mask or a box"):
        Region("tumor")
    with pytest.raises(InputError, match="expected a class name"):
        Region("", (SQUARE,))
    with pytest.raises(InputError, match="at least 3 points"):
        Region("tumor", (SQUARE[:2],))
    mask = np.zeros((4, 5), bool)
    mask[1:3, 2] = True
    np.testing.assert_array_equal(Region("tumor", mask=mask).bounds(), [2, 1, 3, 3])
    with pytest.raises(InputError, match="expected a mask of"):
        Region("tumor", mask=mask).bitmap(9, 9)
