"""``coreset``: what is farthest from everything that is labelled, again and again.

k-centre greedy, algorithm 1 of Sener and Savarese, Active Learning for Convolutional Neural Networks: A Core-Set
Approach, ICLR 2018, on the vectors of the network's encoder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tumorseg.active_learning.ranking import fill
from tumorseg.active_learning.types import EMBEDDING, Candidates, Strategy
from tumorseg.active_learning.vectors import finite_rows, known, nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray


def select(candidates: Candidates, k: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return k indices, each the farthest from what is labelled or chosen before; by lot without vectors."""
    weights = np.ones(len(candidates))
    return fill(spread(candidates, weights, k, rng), len(candidates), k, rng)


def spread(candidates: Candidates, weights: NDArray[np.float64], k: int, rng: np.random.Generator) -> list[int]:
    """Return at most k indices with vectors: again and again the highest weight times distance to the nearest.

    Args:
        candidates: with ``embeddings``, else nothing is returned.
        weights: ``(N,)`` positive.
        k: how many.
        rng: decides ties, and the first one where nothing is labelled and all weigh alike.
    """
    rows, vectors = finite_rows(candidates.embeddings), candidates.embeddings
    if vectors is None or not len(rows):
        return []
    rows = rng.permutation(rows)
    points, weight = vectors[rows], weights[rows]
    distance = nearest(points, known(candidates.labelled, points.shape[1]))
    if np.isinf(distance).all():
        distance = np.ones(len(rows))  # nothing is labelled: the first one goes by weight alone
        first = True
    else:
        first = False
    chosen: list[int] = []
    free = np.ones(len(rows), bool)
    while len(chosen) < min(k, len(rows)):
        best = int(np.where(free, weight * distance, -np.inf).argmax())
        chosen.append(int(rows[best]))
        free[best] = False
        away = nearest(points, points[best : best + 1])
        distance, first = (away if first else np.minimum(distance, away)), False
    return chosen


def build() -> Strategy:
    """Return the strategy."""
    return Strategy("coreset", "What looks least like anything labelled", select, frozenset({EMBEDDING}))
