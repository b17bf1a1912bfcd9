"""Choosing by a number: ties by lot, what has no number last, neighbours not twice in a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tumorseg.active_learning.types import Candidates, Strategy

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Slices this near to a chosen one show nearly the same and wait for a later batch.
NEIGHBOURS = 1


def order(scores: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.intp]:
    """Return ``(N,)`` indices by falling score, equal ones in random order, NaN last."""
    known = np.where(np.isnan(scores), -np.inf, scores)
    return np.lexsort((rng.random(len(scores)), -known, np.isnan(scores)))


def apart(ranked: Sequence[int] | NDArray[np.intp], candidates: Candidates, k: int) -> NDArray[np.intp]:
    """Return the first k of ``ranked``, without direct neighbours of a chosen slice as long as others are left."""
    chosen: list[int] = []
    waiting: list[int] = []
    taken: set[tuple[str, int]] = set()
    for index in map(int, ranked):
        if len(chosen) == k:
            break
        group, position = candidates.groups[index], int(candidates.positions[index])
        if any((group, position + step) in taken for step in range(-NEIGHBOURS, NEIGHBOURS + 1)):
            waiting.append(index)
        else:
            chosen.append(index)
            taken.add((group, position))
    return np.array((chosen + waiting)[:k], np.intp)


def fill(chosen: Sequence[int], count: int, k: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return ``chosen`` and, where that is fewer than k of ``count``, others by lot."""
    left = np.setdiff1d(np.arange(count), np.asarray(chosen, np.intp))
    return np.concatenate([np.asarray(chosen, np.intp), rng.permutation(left)])[:k].astype(np.intp)


def by_score(name: str, column: str, description: str) -> Strategy:
    """Return the strategy that takes the highest of one column, by lot where there is none yet."""

    def rule(candidates: Candidates, k: int, rng: np.random.Generator) -> NDArray[np.intp]:
        scores = candidates.column(column)
        if scores is None:
            return rng.permutation(len(candidates))[:k]
        ranked = order(scores, rng)
        unknown = np.isnan(scores[ranked])
        first = apart(ranked[~unknown], candidates, k)
        return np.concatenate([first, ranked[unknown]])[:k]

    return Strategy(name, description, rule, frozenset({column}))
