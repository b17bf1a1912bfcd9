"""Free-response ROC: how much is found at how many false positives an image.

The mean sensitivity at 1/8, 1/4, 1/2, 1, 2, 4 and 8 false positives an image is the competition performance metric
(CPM) of Niemeijer et al., On combining computer-aided detection systems, IEEE TMI 2011. Between two points of the curve
the lower one counts: its threshold exists, and it makes no more false positives than were allowed (some
implementations interpolate linearly instead and come out higher by at most one step). A second detection of the same
object is a false positive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING

import numpy as np

from tumorseg.metrics.detection.matching import Ranking

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True, eq=False)
class Froc:
    """The curve and its summary.

    Attributes:
        scores: ``(P,)`` the different scores, falling.
        false_positives: ``(P,)`` per image, of detections with at least this score.
        sensitivity: ``(P,)`` part of all objects found by them; NaN where nothing is annotated.
        rates: false positives an image that were asked for.
        at_rates: sensitivity at each of them.
    """

    scores: NDArray[np.float64]
    false_positives: NDArray[np.float64]
    sensitivity: NDArray[np.float64]
    rates: tuple[float, ...]
    at_rates: tuple[float, ...]

    @property
    def cpm(self) -> float:
        """Mean sensitivity at the rates."""
        return float(np.mean(self.at_rates))


def froc(ranking: Ranking, rates: Sequence[float] = RATES) -> Froc:
    """Return the curve over all images of a ranking, also those without object."""
    scores, wrong, sensitivity = _curve(ranking)
    at = tuple(_at(wrong, sensitivity, rate, nothing=_nothing(ranking)) for rate in rates)
    return Froc(scores, wrong, sensitivity, tuple(rates), at)


def cpms(ranking: Ranking, weights: NDArray[np.float64], rates: Sequence[float] = RATES) -> NDArray[np.float64]:
    """Return ``(R,)`` the CPM of each resample; ``weights`` ``(R, N)`` say how often each image was drawn."""
    last = np.append(ranking.scores[1:] != ranking.scores[:-1], True)[: ranking.scores.size]
    drawn = weights[:, ranking.image]
    wrong = np.cumsum(drawn * ~ranking.hit, axis=1)[:, last] / weights.sum(axis=1, keepdims=True)
    right = np.cumsum(drawn * ranking.hit, axis=1)[:, last]
    truths = (weights @ ranking.truths)[:, None]
    sensitivity = np.divide(right, truths, out=np.full(right.shape, nan), where=truths > 0)
    # The curve rises: the best within a rate is the last within it.
    within = np.stack([(wrong <= rate).sum(axis=1) for rate in rates], axis=1)
    padded = np.concatenate([np.where(truths > 0, 0.0, nan), sensitivity], axis=1)
    return np.asarray(np.take_along_axis(padded, within, axis=1).mean(axis=1))


def _curve(ranking: Ranking) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    last = np.append(ranking.scores[1:] != ranking.scores[:-1], True)[: ranking.scores.size]
    wrong = np.cumsum(~ranking.hit)[last] / max(ranking.images, 1)
    truths = int(ranking.truths.sum())
    right = np.cumsum(ranking.hit)[last]
    return ranking.scores[last], wrong, right / truths if truths else np.full(right.shape, nan)


def _at(wrong: NDArray[np.float64], sensitivity: NDArray[np.float64], rate: float, *, nothing: float) -> float:
    reached = int(np.searchsorted(wrong, rate, side="right"))
    return float(sensitivity[reached - 1]) if reached else nothing


def _nothing(ranking: Ranking) -> float:
    """Return the sensitivity of finding nothing: 0, or NaN where there is nothing to find."""
    return 0.0 if ranking.truths.sum() else nan
