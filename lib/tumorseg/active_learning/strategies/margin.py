"""``margin``: the smallest difference of the two classes' probabilities (Scheffer, Decomain and Wrobel 2001)."""

from __future__ import annotations

from tumorseg.active_learning.ranking import by_score
from tumorseg.active_learning.types import MARGIN, Strategy


def build() -> Strategy:
    """Return the strategy."""
    return by_score("margin", MARGIN, "Where tumour and background are nearest to each other")
