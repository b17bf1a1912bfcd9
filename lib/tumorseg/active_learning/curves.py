"""Learning curves compared: area under the budget curve, labels needed, paired test, intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isnan
from typing import TYPE_CHECKING

import numpy as np

from tumorseg.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESAMPLES = 2000
LEVEL = 0.95


def aubc(labels: Sequence[float] | NDArray[np.float64], scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Area under the budget curve (Zhan et al., IJCAI 2021): the mean score over the budget, by trapezoids.

    Args:
        labels: ``(R,)`` rising; the first and the last are the ends of the budget.
        scores: ``(…, R)``.

    Returns:
        ``(…)``, in the unit of the score; the score itself where there is one round.
    """
    x = np.asarray(labels, np.float64)
    if scores.shape[-1] != len(x) or (np.diff(x) <= 0).any() or not len(x):
        raise InputError(f"expected rising labels (R,) and scores (…, R), got {x.tolist()} and {scores.shape}")
    if len(x) == 1:
        return np.asarray(scores[..., 0])
    return np.asarray(np.trapezoid(scores, x, axis=-1) / (x[-1] - x[0]))


def labels_for(target: float, labels: Sequence[float], scores: Sequence[float]) -> float | None:
    """Return how many labels first reach ``target``, interpolated between rounds; None where none does."""
    previous: tuple[float, float] | None = None
    for count, score in zip(labels, scores, strict=True):
        if score >= target:
            if previous is None:
                return float(count)
            part = (target - previous[1]) / (score - previous[1])
            return float(previous[0] + part * (count - previous[0]))
        previous = (count, score)
    return None


def paired_p(differences: Sequence[float] | NDArray[np.float64]) -> float:
    """One-sided p of a paired t-test that the mean difference is above 0; 1 where it cannot be tested.

    Cannot be: fewer than two pairs. Differences that are all the same and above 0 leave no doubt: 0.
    """
    from scipy.stats import ttest_1samp

    values = np.asarray(differences, np.float64)
    if len(values) < 2:
        return 1.0
    if np.ptp(values) == 0:
        return 0.0 if values[0] > 0 else 1.0
    return float(ttest_1samp(values, 0.0, alternative="greater").pvalue)


def holm(p: Mapping[str, float]) -> dict[str, float]:
    """Return p adjusted for as many tests as there are (Holm 1979)."""
    adjusted: dict[str, float] = {}
    highest = 0.0
    for rank, (name, value) in enumerate(sorted(p.items(), key=lambda item: item[1])):
        highest = max(highest, min(1.0, (len(p) - rank) * (1.0 if isnan(value) else value)))
        adjusted[name] = highest
    return adjusted


def interval(
    cube: NDArray[np.float64],
    rng: np.random.Generator,
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]] = lambda values: values,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return lower and upper bound of a statistic of the mean over seeds and patients, both drawn again.

    Args:
        cube: ``(S, P, R)`` score of each seed, patient and round.
        rng: source of the resamples.
        statistic: of the mean curves ``(B, R)``, gives ``(B, …)``; the curves themselves by default.

    Returns:
        Percentiles over the resamples, each ``(…)``.
    """
    seeds, patients, _ = cube.shape
    chosen = rng.multinomial(patients, np.full(patients, 1 / patients), size=RESAMPLES) / patients
    runs = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=RESAMPLES) / seeds
    curves = np.einsum("bs,bp,spr->br", runs, chosen, cube, optimize=True)
    values = statistic(curves)
    low, high = np.quantile(values, ((1 - LEVEL) / 2, (1 + LEVEL) / 2), axis=0)
    return np.asarray(low), np.asarray(high)
