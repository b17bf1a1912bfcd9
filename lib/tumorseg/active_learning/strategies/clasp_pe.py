"""``clasp_pe``: class-stratified, scheduled power-noised predictive entropy.

Lüth, Traub et al., Finally Outshining the Random Baseline: A Simple and Effective Solution for Active Learning in 3D
Biomedical Imaging, TMLR 2026 (arXiv 2601.13677): the one method that was generally above improved random in their 24
settings. Its two ideas, and how they are read here:

1. *Scheduled power noise*: a candidate's rank is ``log(score) + Gumbel(0, 1 / beta)`` (Kirsch et al., Stochastic
   Batch Acquisition, TMLR 2023: the same as drawing in proportion to ``score ** beta``). The noise decays over the
   rounds: much of it early, for diversity; little late, for what is uncertain. *Ours*: beta rises geometrically from
   :data:`FIRST_BETA` to :data:`LAST_BETA` with the used part of the budget.
2. *Class strata*: a part of the batch is asked of each class, so that a rare one is covered. *Ours*: with one class
   beside the background, :data:`SHARE` of the batch comes from candidates in which the model sees tumour and the rest
   from all. The paper queries 3D patches; candidates here are slices or cases, and the entropy is normalised for
   lesion size (:mod:`tumorseg.active_learning.scoring`), which the paper does not need for patches of one size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tumorseg.active_learning.ranking import apart, order
from tumorseg.active_learning.types import ENTROPY, FOREGROUND, Candidates, Strategy

if TYPE_CHECKING:
    from numpy.typing import NDArray

FIRST_BETA, LAST_BETA = 1.0, 100.0
SHARE = 2 / 3
_LEAST = 1e-6  # a score of 0 has no logarithm


def select(candidates: Candidates, k: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return k indices, first those of the tumour stratum; by lot without scores."""
    entropy = candidates.column(ENTROPY)
    if entropy is None:
        return rng.permutation(len(candidates))[:k]
    ranked = order(noised(entropy, beta(candidates.progress), rng), rng)
    foreground = candidates.column(FOREGROUND)
    shown = np.zeros(len(candidates), bool) if foreground is None else np.nan_to_num(foreground) > 0
    first = apart(ranked[shown[ranked]], candidates, round(SHARE * k))
    rest = ranked[~np.isin(ranked, first)]
    return np.concatenate([first, apart(rest, candidates, k - len(first))])


def beta(progress: float) -> float:
    """Return how much the score counts against the noise, at ``progress`` in [0, 1] of the budget."""
    return float(FIRST_BETA * (LAST_BETA / FIRST_BETA) ** progress)


def noised(scores: NDArray[np.float64], beta: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return ``(N,)`` log scores with Gumbel noise of scale ``1 / beta``; NaN stays NaN."""
    return np.asarray(np.log(np.maximum(scores, _LEAST)) + rng.gumbel(0, 1 / beta, size=scores.shape))


def build() -> Strategy:
    """Return the strategy."""
    text = "Uncertain ones by lot, by class, ever less by lot"
    return Strategy("clasp_pe", text, select, frozenset({ENTROPY, FOREGROUND}))
