"""``foreground_random``: by lot, but two of three show tumour. The baseline that is hard to beat.

Lüth et al., nnActive: A Framework for Evaluation of Active Learning in 3D Biomedical Segmentation, TMLR 2025, found
no uncertainty method reliably better than random sampling with a fixed part of foreground; this is their 66 % variant
for slices or cases instead of 3D patches. What shows tumour is told by the column ``foreground``: the model's own
prediction in a server, the annotator's eye in the simulation. Without the column it is plain random.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tumorseg.active_learning.ranking import fill
from tumorseg.active_learning.types import FOREGROUND, Candidates, Strategy

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHARE = 2 / 3


def select(candidates: Candidates, k: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return k indices, :data:`SHARE` of them with tumour where there are so many, mixed."""
    foreground = candidates.column(FOREGROUND)
    if foreground is None:
        return rng.permutation(len(candidates))[:k]
    shown = rng.permutation(np.flatnonzero(np.nan_to_num(foreground) > 0))
    return rng.permutation(fill(list(shown[: round(SHARE * k)]), len(candidates), k, rng))


def build() -> Strategy:
    """Return the strategy."""
    text = "By lot, two of three with tumour"
    return Strategy("foreground_random", text, select, frozenset({FOREGROUND}))
