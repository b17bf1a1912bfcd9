"""``random``: any candidate, all alike. The baseline that says whether choosing helps at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tumorseg.active_learning.types import Candidates, Strategy

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def select(candidates: Candidates, k: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return k indices by lot."""
    return rng.permutation(len(candidates))[:k]


def build() -> Strategy:
    """Return the strategy."""
    return Strategy("random", "Any image, by lot", select)
