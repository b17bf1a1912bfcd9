"""``entropy``: the highest predictive entropy of one look.

Uncertainty sampling: Lewis and Gale 1994. How it is kept from choosing by lesion size:
:mod:`tumorseg.active_learning.scoring`.
"""

from __future__ import annotations

from tumorseg.active_learning.ranking import by_score
from tumorseg.active_learning.types import ENTROPY, Strategy


def build() -> Strategy:
    """Return the strategy."""
    return by_score("entropy", ENTROPY, "Where the model is least sure")
