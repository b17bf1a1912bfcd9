"""Does the next batch of labels still pay? A learning curve through what was measured, and how sure it is.

Learning curves of networks follow a power law over a wide range (Hestness et al. 2017; Viering and Loog, The Shape of
Learning Curves, TPAMI 2023): ``score(n) = a - b * n ** -c`` with b, c > 0, which saturates at a. The exponent is
tried on a grid, a and b are the least squares for each; so there is nothing to converge and nothing to fail. The
uncertainty comes from curves drawn around it with the residuals' variance, which is itself drawn from what is possible
of it after three numbers were fitted (scaled inverse chi-square; Gelman et al., Bayesian Data Analysis, section 14.2):
with five measurements two degrees of freedom are left, and residuals drawn again would be far too sure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tumorseg.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

EXPONENTS = np.linspace(0.05, 2.0, 40)
FITTED = 3
RESAMPLES = 500
LEVEL = 0.9
#: A gain in Dice smaller than this is not worth a batch, and at this probability of less it is time to stop.
WORTH, SURE = 0.005, 0.9


@dataclass(frozen=True)
class Forecast:
    """What the next batch is expected to bring.

    Attributes:
        gain: of the score, best guess.
        low: lower bound at :data:`LEVEL`.
        high: upper bound.
        useless: probability that the gain is below what a batch is worth.
        ceiling: what the curve saturates at; may be far above 1 while the curve is still straight.
    """

    gain: float
    low: float
    high: float
    useless: float
    ceiling: float

    @property
    def stop(self) -> bool:
        """Whether it is sure enough that the next batch does not pay."""
        return self.useless >= SURE


def forecast(
    labels: Sequence[float],
    scores: Sequence[float],
    batch: float,
    rng: np.random.Generator,
    *,
    worth: float = WORTH,
) -> Forecast | None:
    """Predict the gain of ``batch`` more labels.

    Args:
        labels: how many there were at each measurement, rising.
        scores: what was measured, for example mean Dice.
        batch: how many come next.
        rng: source of the resamples.
        worth: the gain that a batch must bring.

    Returns:
        The forecast; None with fewer than five measurements, through which any curve goes.
    """
    x, y = np.asarray(labels, np.float64), np.asarray(scores, np.float64)
    if x.shape != y.shape or x.ndim != 1 or (np.diff(x) <= 0).any() or (x <= 0).any():
        raise InputError(f"expected rising numbers of labels and as many scores, got {x.tolist()} and {y.tolist()}")
    if not np.isfinite(y).all() or batch <= 0:
        raise InputError(f"expected finite scores and a batch above 0, got {y.tolist()} and {batch}")
    if len(x) < FITTED + 2:
        return None
    (ceiling,), (gain,), fitted = _fit(x, y[None], batch)
    freedom = len(x) - FITTED
    sigma = np.sqrt(((y - fitted[0]) ** 2).sum() / rng.chisquare(freedom, (RESAMPLES, 1)))
    drawn = fitted[0] + sigma * rng.normal(size=(RESAMPLES, len(x)))
    _, gains, _ = _fit(x, drawn, batch)
    low, high = np.quantile(gains, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return Forecast(float(gain), float(low), float(high), float((gains < worth).mean()), float(ceiling))


def _fit(
    x: NDArray[np.float64], y: NDArray[np.float64], batch: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Fit R curves ``(R, n)`` at once: ceilings ``(R,)``, gains of the next batch ``(R,)``, values ``(R, n)``."""
    least = np.full(len(y), np.inf)
    ceiling, gain, fitted = np.zeros(len(y)), np.zeros(len(y)), np.zeros_like(y)
    for exponent in EXPONENTS:
        basis = x**-exponent
        centred = basis - basis.mean()
        slope = np.maximum(-(y @ centred) / (centred @ centred), 0.0)  # b; more labels never harm the curve
        top = y.mean(axis=1) + slope * basis.mean()
        values = top[:, None] - slope[:, None] * basis
        error = ((y - values) ** 2).sum(axis=1)
        better = error < least
        least[better], ceiling[better], fitted[better] = error[better], top[better], values[better]
        gain[better] = (slope * (x[-1] ** -exponent - (x[-1] + batch) ** -exponent))[better]
    return ceiling, gain, fitted
