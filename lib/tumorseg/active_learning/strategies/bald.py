"""``bald``: the highest mutual information of Monte-Carlo dropout passes.

Houlsby et al., Bayesian Active Learning for Classification and Preference Learning, 2011; Gal, Islam, Ghahramani, Deep
Bayesian Active Learning with Image Data, ICML 2017. Where the dropout is: :mod:`tumorseg.active_learning.looks`.
"""

from __future__ import annotations

from tumorseg.active_learning.ranking import by_score
from tumorseg.active_learning.types import BALD, Strategy


def build() -> Strategy:
    """Return the strategy."""
    return by_score("bald", BALD, "Where looks with dropout disagree most")
