from __future__ import annotations

import numpy as np

from tumorseg.interactive.classical.walker import Lattice, walk

NONE = (1.0, 1.0, 1.0)


def test_the_solution_is_that_of_the_linear_system() -> None:
    """Against a dense solution of Grady's equation 11."""
    rng = np.random.default_rng(0)
    shape = (2, 4, 5)
    lattice = Lattice.of(rng.random((2, *shape)).astype(np.float32), (3.0, 1.0, 1.0))
    prior = rng.random(shape).astype(np.float32)
    matrix = np.zeros((prior.size, prior.size))
    index = np.arange(prior.size).reshape(shape)
    for axis, edge in enumerate(lattice.edges):
        low = np.delete(index, -1, axis).ravel()
        high = np.delete(index, 0, axis).ravel()
        matrix[low, high] = matrix[high, low] = -edge.ravel()
    matrix += np.diag(-matrix.sum(1) + 0.2)
    expected = np.linalg.solve(matrix, 0.2 * prior.ravel()).reshape(shape)
    found = walk(lattice, prior, 0.2, np.zeros(shape, np.int8), steps=100)
    assert np.abs(found - expected).max() < 5e-3


def test_a_mark_stays_and_reaches_up_to_the_edge_of_the_image() -> None:
    features = np.zeros((1, 1, 9, 20), np.float32)
    features[..., 10:] = 1
    marks = np.zeros((1, 9, 20), np.int8)
    marks[0, 4, 2], marks[0, 4, 17] = 1, -1
    chance = walk(Lattice.of(features, NONE), np.full(marks.shape, 0.5, np.float32), 1e-3, marks, steps=200)
    assert chance[0, 4, 2] > 0.99
    assert chance[0, 4, 17] < 0.01
    assert ((chance > 0.5)[0] == (np.arange(20) < 10)).all()


def test_slices_far_apart_hold_together_less() -> None:
    features = np.zeros((1, 2, 5, 5), np.float32)
    marks = np.zeros((2, 5, 5), np.int8)
    marks[0] = 1
    prior = np.zeros(marks.shape, np.float32)
    near, far = (walk(Lattice.of(features, (d, 1.0, 1.0)), prior, 0.5, marks, steps=60)[1].mean() for d in (1.0, 8.0))
    assert near > 0.5 > far


def test_one_slice_and_one_voxel_are_lattices_too() -> None:
    for shape in ((1, 1, 1), (1, 3, 1)):
        lattice = Lattice.of(np.zeros((1, *shape), np.float32), NONE)
        assert np.allclose(walk(lattice, np.full(shape, 0.3, np.float32), 1, np.zeros(shape, np.int8), steps=5), 0.3)
