"""How well a score ranks what is there above what is not, whatever the threshold."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorseg.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def auc(scores: NDArray[Any], truth: NDArray[np.bool_]) -> float:
    """Area under the ROC curve: the chance that a positive scores above a negative, a tie counting half.

    Hanley and McNeil 1982, "The meaning and use of the area under a receiver operating characteristic (ROC) curve".

    Args:
        scores: ``(N,)`` finite numbers, higher for what is more likely there.
        truth: ``(N,)``.

    Returns:
        In [0, 1]; NaN where one of the two kinds is missing.
    """
    if scores.shape != truth.shape or scores.ndim != 1:
        raise InputError(f"expected scores and truth of one length, got {scores.shape} and {truth.shape}")
    if not np.isfinite(scores).all():
        raise InputError("expected finite scores")
    positives, negatives = scores[truth], np.sort(scores[~truth])
    if not positives.size or not negatives.size:
        return nan
    below = np.searchsorted(negatives, positives, side="left")
    up_to = np.searchsorted(negatives, positives, side="right")
    return float((below + up_to).mean() / (2 * negatives.size))
