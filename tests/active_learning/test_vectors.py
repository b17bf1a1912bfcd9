"""Distances and clusters by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tumorseg.active_learning.vectors import clusters, finite_rows, known, nearest, squared_distances, typicality


def test_distances_by_hand() -> None:
    assert squared_distances(np.array([[0.0, 0.0]]), np.array([[3.0, 4.0], [0.0, 0.0]])) == pytest.approx(
        np.array([[25.0, 0.0]])
    )
    assert nearest(np.array([[0.0], [9.0]]), np.array([[1.0], [6.0]])) == pytest.approx([1.0, 3.0])
    assert np.isinf(nearest(np.ones((2, 1)), np.empty((0, 1)))).all()


def test_clear_groups_are_found() -> None:
    points = np.concatenate([np.zeros((5, 2)), np.full((7, 2), 9.0), [[0.0, 50.0]]])
    points = points + np.random.default_rng(0).normal(scale=0.01, size=points.shape)
    label = clusters(points, 3, np.random.default_rng(1))
    assert sorted(np.bincount(label).tolist()) == [1, 5, 7]
    assert len(set(label[:5].tolist())) == len(set(label[5:12].tolist())) == 1


def test_more_clusters_than_different_points() -> None:
    assert set(clusters(np.ones((4, 2)), 3, np.random.default_rng(0)).tolist()) == {0}


def test_the_densest_point_is_the_most_typical() -> None:
    points = np.array([[0.0], [1.0], [2.0], [10.0]])
    assert typicality(points, 2).argmax() == 1
    assert typicality(points, 2)[3] == pytest.approx(1 / 8.5)  # 8 and 9 away
    assert typicality(points[:1], 20) == pytest.approx([1.0])


def test_rows_with_nan_are_no_vectors() -> None:
    vectors = np.array([[1.0, 2.0], [np.nan, 0.0]])
    assert finite_rows(vectors).tolist() == [0]
    assert finite_rows(None).tolist() == []
    assert known(vectors, 2).tolist() == [[1.0, 2.0]]
    assert known(None, 2).shape == (0, 2)
