"""``hybrid``: uncertain and unlike anything labelled; the product of the two, one candidate after the other.

The uncertainty counts by rank, so that its unit does not matter; the distance is that of core-set selection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tumorseg.active_learning.ranking import apart, fill, order
from tumorseg.active_learning.strategies.coreset import spread
from tumorseg.active_learning.types import EMBEDDING, ENTROPY, Candidates, Strategy

if TYPE_CHECKING:
    from numpy.typing import NDArray


def select(candidates: Candidates, k: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return k indices; without scores by distance alone, without vectors by uncertainty alone."""
    entropy = candidates.column(ENTROPY)
    if entropy is None:
        return fill(spread(candidates, np.ones(len(candidates)), k, rng), len(candidates), k, rng)
    ranked = order(entropy, rng)
    weights = np.empty(len(candidates))
    weights[ranked] = np.linspace(1, 1 / len(candidates), len(candidates))
    chosen = spread(candidates, weights, k, rng)
    rest = ranked[~np.isin(ranked, chosen)]
    return np.concatenate([np.array(chosen, np.intp), apart(rest, candidates, k - len(chosen))])


def build() -> Strategy:
    """Return the strategy."""
    text = "Uncertain and unlike anything labelled"
    return Strategy("hybrid", text, select, frozenset({ENTROPY, EMBEDDING}))
