"""Shapes as signed distances, and the parts of them, by hand."""

from __future__ import annotations

import numpy as np

from tumorseg.interactive.shapes import between, hanging, signed_distance


def test_signed_distances_by_hand() -> None:
    row = np.array([[False, True, True, True, False, False]])
    np.testing.assert_allclose(signed_distance(row), [[-0.5, 0.5, 1.5, 0.5, -0.5, -1.5]])
    assert (signed_distance(np.zeros((2, 2), bool)) == -np.inf).all()
    assert (signed_distance(np.ones((2, 2), bool)) == np.inf).all()
    np.testing.assert_allclose(between(np.array([[1.0, -3.0]]), np.array([[-1.0, 1.0]]), 0.25), [[0.5, -2.0]])


def test_parts_hang_together_over_corners_and_only_those_that_are_touched() -> None:
    marked = np.array([[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 1]], bool)
    on = np.zeros_like(marked)
    on[0, 0] = on[1, 2] = True
    np.testing.assert_array_equal(hanging(marked, on), [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]])
