"""How well a score tells images (or slices) with tumour from those without: ROC curve and the area under it.

The area is the probability that a positive scores higher than a negative, ties counting half (Mann and Whitney 1947;
Hanley and McNeil, Radiology 1982); it equals the area under the curve with a straight line across each tie.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorseg.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class RocCurve:
    """The curve from (0, 0) to (1, 1), a point for each different score, the highest first.

    Attributes:
        scores: ``(P,)`` positive is what has at least this score; infinite at the first point, which calls none so.
        false_positive_rate: ``(P,)`` 1 - specificity; NaN without negatives.
        true_positive_rate: ``(P,)`` sensitivity; NaN without positives.
    """

    scores: NDArray[np.float64]
    false_positive_rate: NDArray[np.float64]
    true_positive_rate: NDArray[np.float64]


def roc_curve(scores: NDArray[Any], truth: NDArray[np.bool_]) -> RocCurve:
    """Return the curve of ``(N,)`` scores against the truth ``(N,)``."""
    order, last = _order(scores, truth)
    positive = truth[order][None, :]
    right = _with_zero(np.cumsum(positive, axis=1)[:, last])[0]
    wrong = _with_zero(np.cumsum(~positive, axis=1)[:, last])[0]
    levels = np.asarray(scores, np.float64)[order][last]
    return RocCurve(np.insert(levels, 0, np.inf), _rate(wrong), _rate(right))


def roc_auc(scores: NDArray[Any], truth: NDArray[np.bool_]) -> float:
    """Return the area under the curve in [0, 1]; NaN where all or none are positive.

    Raises:
        InputError: the arrays do not belong together, the truth is not boolean, or a score is not finite.
    """
    return float(roc_aucs(scores, truth, np.ones((1, len(scores))))[0])


def roc_aucs(scores: NDArray[Any], truth: NDArray[np.bool_], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``(R,)`` the area of each resample; ``weights`` ``(R, N)`` say how often each was drawn."""
    order, last = _order(scores, truth)
    drawn, positive = weights[:, order], truth[order]
    right = _with_zero(np.cumsum(drawn * positive, axis=1)[:, last])
    wrong = _with_zero(np.cumsum(drawn * ~positive, axis=1)[:, last])
    area = (np.diff(wrong, axis=1) * (right[:, 1:] + right[:, :-1]) / 2).sum(axis=1)
    whole = right[:, -1] * wrong[:, -1]
    return np.asarray(np.divide(area, whole, out=np.full(len(weights), nan), where=whole > 0))


def _order(scores: NDArray[Any], truth: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the order of falling scores and, in it, True at the last of each score."""
    values = np.asarray(scores, np.float64)
    if values.ndim != 1 or values.shape != truth.shape or truth.dtype != np.bool_:
        raise InputError(
            f"expected scores (N,) and a boolean truth (N,), got {values.shape} and {truth.dtype} {truth.shape}"
        )
    if not np.isfinite(values).all():
        raise InputError(f"expected finite scores, got {np.count_nonzero(~np.isfinite(values))} that are not")
    order = np.argsort(-values, kind="stable")
    ordered = values[order]
    return order, np.append(ordered[1:] != ordered[:-1], True)[: ordered.size]


def _with_zero(columns: NDArray[Any]) -> NDArray[np.float64]:
    """Put a column of zeros before ``(R, P)``: the point at which nothing is called positive."""
    return np.concatenate([np.zeros((len(columns), 1)), columns], axis=1)


def _rate(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    return counts / counts[-1] if counts[-1] else np.full(counts.shape, nan)
