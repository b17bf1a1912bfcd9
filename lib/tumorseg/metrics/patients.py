"""How sure a figure over many images of few patients is: patients are drawn again, each with all its images.

Images of one patient resemble each other; drawing them one by one would promise more than there is. The cluster
bootstrap (Field and Welsh, Bootstrapping clustered data, JRSS B 2007) draws patients with replacement. A resample is a
row of weights, how often each image was drawn, so that a statistic answers many resamples at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import nan
from typing import TYPE_CHECKING

import numpy as np

from tumorseg.errors import InputError
from tumorseg.metrics.bootstrap import LEVEL

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESAMPLES = 1000
# Weights of so many images are held at a time (8 bytes each, and a few times that inside a statistic).
_AT_ONCE = 2_000_000

#: Takes weights ``(R, N)``, returns ``(R,)`` values; NaN where a resample does not define it.
Statistic = Callable[["NDArray[np.float64]"], "NDArray[np.float64]"]


def interval_by_patient(
    statistic: Statistic,
    patients: Sequence[str],
    rng: np.random.Generator,
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> tuple[float, float]:
    """Return the percentile interval of any statistic over images.

    Args:
        statistic: for example ``lambda weights: average_precisions(ranking, weights)``.
        patients: N names, whose each image is (``ImageResult.cluster``).
        rng: source of the resamples; the same state gives the same interval.
        resamples: how many.
        level: coverage in (0, 1).

    Returns:
        Lower and upper bound over the resamples in which the statistic is defined; NaN twice where it never is.

    Raises:
        InputError: the statistic does not return one value for each resample.
    """
    if not patients:
        return nan, nan
    values = resample_by_patient(statistic, patients, rng, resamples=resamples)
    values = values[np.isfinite(values)]
    if not values.size:
        return nan, nan
    low, high = np.quantile(values, ((1 - level) / 2, (1 + level) / 2))
    return float(low), float(high)


def resample_by_patient(
    statistic: Statistic, patients: Sequence[str], rng: np.random.Generator, *, resamples: int = RESAMPLES
) -> NDArray[np.float64]:
    """Return ``(R,)`` the statistic of each resample, NaN where it is not defined."""
    names, whose = np.unique(np.asarray(patients), return_inverse=True)
    drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)
    parts = np.array_split(drawn, max(1, -(-resamples * len(patients) // _AT_ONCE)))
    values = [np.asarray(statistic(part[:, whose].astype(np.float64)), dtype=np.float64) for part in parts]
    if any(value.shape != (len(part),) for value, part in zip(values, parts, strict=True)):
        raise InputError(f"expected one value for each resample, got {[value.shape for value in values]}")
    return np.concatenate(values)


def weighted_mean(values: NDArray[np.float64]) -> Statistic:
    """Return the statistic "mean of the values ``(N,)`` of the drawn images", over those that are not NaN."""
    defined = np.isfinite(values)
    known = np.where(defined, values, 0.0)

    def mean(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        count = weights @ defined
        return np.asarray(np.divide(weights @ known, count, out=np.full(len(weights), nan), where=count > 0))

    return mean


def weighted_ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> Statistic:
    """Return the statistic "sum of ``above`` over sum of ``below``" of the drawn images, both ``(N,)``.

    With ``2 * both`` and ``true + marked`` it is the Dice of all images' pixels together.
    """

    def ratio(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        total = weights @ below
        return np.asarray(np.divide(weights @ above, total, out=np.full(len(weights), nan), where=total > 0))

    return ratio
