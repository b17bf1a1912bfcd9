"""``in_order``: one patient after the other, slice by slice. What happens where nobody chooses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tumorseg.active_learning.types import Candidates, Strategy

if TYPE_CHECKING:
    from numpy.typing import NDArray


def ordered(candidates: Candidates) -> NDArray[np.intp]:
    """Return ``(N,)`` indices by patient and position."""
    keys = sorted(range(len(candidates)), key=lambda i: (candidates.groups[i], candidates.positions[i]))
    return np.array(keys, np.intp)


def select(candidates: Candidates, k: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return the first k by patient and position."""
    return ordered(candidates)[:k]


def build() -> Strategy:
    """Return the strategy."""
    return Strategy("in_order", "The first image without a label", select)
