"""Distances, clusters and typicality of vectors. All rows finite; all randomness from the generator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROUNDS = 25  # of Lloyd's algorithm; on a few thousand vectors it has settled long before


def squared_distances(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``(N, M)`` squared Euclidean distances of ``(N, D)`` and ``(M, D)``."""
    squares = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
    return np.asarray(np.maximum(squares, 0.0))


def nearest(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``(N,)`` the distance of each row of ``a`` to its nearest row of ``b``; infinite where b is empty."""
    if not len(b):
        return np.full(len(a), np.inf)
    return np.asarray(np.sqrt(squared_distances(a, b).min(axis=1)))


def clusters(points: NDArray[np.float64], count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return ``(N,)`` cluster of each point: k-means (Lloyd 1982) from k-means++ seeds (Arthur, Vassilvitskii 2007)."""
    centres = points[_seeds(points, count, rng)]
    label = np.zeros(len(points), np.intp)
    for _ in range(_ROUNDS):
        label = squared_distances(points, centres).argmin(axis=1)
        moved = np.stack(
            [points[label == c].mean(0) if (label == c).any() else centres[c] for c in range(len(centres))]
        )
        if np.array_equal(moved, centres):
            break
        centres = moved
    return label


def _seeds(points: NDArray[np.float64], count: int, rng: np.random.Generator) -> list[int]:
    seeds = [int(rng.integers(len(points)))]
    distance = squared_distances(points, points[seeds]).min(axis=1)
    while len(seeds) < count and distance.max() > 0:
        seeds.append(int(rng.choice(len(points), p=distance / distance.sum())))
        distance = np.minimum(distance, squared_distances(points, points[seeds[-1:]])[:, 0])
    return seeds


def typicality(points: NDArray[np.float64], neighbours: int) -> NDArray[np.float64]:
    """Return ``(N,)`` the inverse of the mean distance to the nearest ``neighbours`` others (TypiClust, eq. 1)."""
    count = min(neighbours, len(points) - 1)
    if count < 1:
        return np.ones(len(points))
    distances = np.sqrt(np.sort(squared_distances(points, points), axis=1)[:, 1 : count + 1])
    return np.asarray(1 / (distances.mean(axis=1) + 1e-12))


def finite_rows(vectors: NDArray[np.float64] | None) -> NDArray[np.intp]:
    """Return the indices of the rows without NaN; none where there are no vectors."""
    return np.empty(0, np.intp) if vectors is None else np.flatnonzero(np.isfinite(vectors).all(axis=1))


def known(vectors: NDArray[np.float64] | None, size: int) -> NDArray[np.float64]:
    """Return the finite rows ``(M, size)``; an empty array where there are none."""
    rows = finite_rows(vectors)
    return np.empty((0, size)) if vectors is None else vectors[rows]
