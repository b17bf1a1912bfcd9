"""``strided``: evenly spaced over all patients and slices, from a random start (systematic sampling)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tumorseg.active_learning.strategies.in_order import ordered
from tumorseg.active_learning.types import Candidates, Strategy

if TYPE_CHECKING:
    from numpy.typing import NDArray


def select(candidates: Candidates, k: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return k indices at equal steps through patients and slices."""
    places = np.floor((np.arange(k) + rng.random()) * len(candidates) / k).astype(np.intp)
    return ordered(candidates)[places]


def build() -> Strategy:
    """Return the strategy."""
    return Strategy("strided", "Evenly spaced over patients and slices", select)
