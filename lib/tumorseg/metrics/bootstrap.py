"""How sure a mean or a median over few patients is.

Percentile bootstrap: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 13.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import nan
from typing import TYPE_CHECKING, Literal

import numpy as np

from tumorseg.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESAMPLES = 10_000
LEVEL = 0.95

Statistic = Literal["mean", "median"]


def bootstrap_interval(
    values: Sequence[float] | NDArray[np.float64],
    rng: np.random.Generator,
    *,
    statistic: Statistic = "mean",
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> tuple[float, float]:
    """Return the percentile interval of a statistic over patients.

    Args:
        values: ``(N,)`` one finite number for each patient; the patients are what is drawn again.
        rng: source of the resamples; the same state gives the same interval.
        statistic: of each resample.
        resamples: how many.
        level: coverage in (0, 1).

    Returns:
        Lower and upper bound; NaN twice without values.

    Raises:
        InputError: a value is not finite.
    """
    data = np.asarray(values, dtype=np.float64)
    if not data.size:
        return nan, nan
    if not np.isfinite(data).all():
        raise InputError("expected finite values: leave out patients for whom the metric is not defined")
    drawn = data[rng.integers(0, data.size, size=(resamples, data.size))]
    results = drawn.mean(axis=1) if statistic == "mean" else np.median(drawn, axis=1)
    low, high = np.quantile(results, ((1 - level) / 2, (1 + level) / 2))
    return float(low), float(high)
