"""The forecast finds a curve it is given, says how sure it is, and says stop where nothing comes any more."""

from __future__ import annotations

import numpy as np
import pytest

from tumorseg.active_learning.stopping import forecast
from tumorseg.errors import InputError

X = np.array([10.0, 20, 40, 60, 80, 100, 140, 180])


def predict(y: np.ndarray, batch: float = 40, x: np.ndarray = X, seed: int = 0):  # type: ignore[no-untyped-def]
    return forecast(x.tolist(), y.tolist(), batch, np.random.default_rng(seed))


def test_a_power_law_is_recovered() -> None:
    found = predict(0.85 - 1.2 * X**-0.5)
    assert found.gain == pytest.approx(1.2 * (180**-0.5 - 220**-0.5), rel=0.02)
    assert found.ceiling == pytest.approx(0.85, abs=0.01)
    assert found.low == pytest.approx(found.high, rel=0.05)  # no residuals, no doubt


def test_a_steep_curve_goes_on_and_a_flat_one_stops() -> None:
    rng = np.random.default_rng(3)
    noise = rng.normal(scale=0.004, size=len(X))
    assert not predict(0.9 - 2.0 * X**-0.5 + noise).stop
    flat = predict(0.8 - 5 * X**-2.0 + noise / 4)
    assert flat.stop
    assert flat.useless > 0.95


def test_more_noise_is_less_sure() -> None:
    rng = np.random.default_rng(1)
    noise = rng.normal(size=len(X))
    quiet, loud = (predict(0.9 - X**-0.4 + scale * noise) for scale in (0.001, 0.03))
    assert loud.high - loud.low > 5 * (quiet.high - quiet.low)


@pytest.mark.parametrize(
    ("count", "scale", "least"), [(5, 0.01, 0.80), (5, 0.03, 0.86), (8, 0.01, 0.84), (8, 0.03, 0.88)]
)
def test_the_interval_covers_what_comes_next(count: int, scale: float, least: float) -> None:
    """90 % are meant; with few measurements and little noise it stays short of it. 150 draws: 0.025 is one sigma."""
    x = X[:count]
    truth = 1.2 * (x[-1] ** -0.5 - (x[-1] + 40) ** -0.5)
    rng = np.random.default_rng(0)
    drawn = [predict(0.85 - 1.2 * x**-0.5 + rng.normal(scale=scale, size=count), x=x, seed=seed) for seed in range(150)]
    assert np.mean([one.low <= truth <= one.high for one in drawn]) >= least


def test_a_falling_curve_promises_no_loss() -> None:
    found = predict(np.linspace(0.8, 0.7, len(X)))
    assert found.gain == 0.0


def test_few_measurements_allow_no_forecast() -> None:
    assert predict(np.array([0.1, 0.2, 0.3, 0.35]), x=X[:4]) is None
    assert predict(0.85 - X[:5] ** -0.5, x=X[:5]) is not None


def test_the_same_generator_gives_the_same_forecast() -> None:
    y = 0.85 - X**-0.5 + np.random.default_rng(2).normal(scale=0.01, size=len(X))
    assert predict(y) == predict(y)


@pytest.mark.parametrize(
    ("x", "y", "batch"),
    [([2, 1], [0, 0], 1), ([1, 1], [0, 0], 1), ([0, 1], [0, 0], 1), ([1, 2], [0], 1), ([1, 2], [0, 1], 0)],
)
def test_what_is_no_curve_is_refused(x: list[float], y: list[float], batch: float) -> None:
    with pytest.raises(InputError):
        forecast(x, y, batch, np.random.default_rng(0))


def test_a_score_that_is_nan_is_refused() -> None:
    with pytest.raises(InputError):
        predict(np.full(len(X), np.nan))
