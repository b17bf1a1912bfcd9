"""Intervals over patients."""

from math import isnan, nan

import numpy as np
import pytest

from tumorseg.errors import InputError
from tumorseg.metrics.bootstrap import bootstrap_interval


def rng(seed=0):
    return np.random.default_rng(seed)


def test_the_same_for_every_patient_has_no_width():
    assert bootstrap_interval([0.8] * 12, rng()) == pytest.approx((0.8, 0.8))
    assert bootstrap_interval([0.8], rng(), statistic="median") == pytest.approx((0.8, 0.8))


def test_two_patients_by_hand():
    # Resamples of (0, 1): mean 0, 0.5, 0.5, 1 with a quarter each. 95 % leaves 2.5 % at each end: 0 and 1.
    assert bootstrap_interval([0.0, 1.0], rng()) == (0.0, 1.0)
    # 40 % leaves 30 % at each end: beyond the first quarter, within the middle half.
    assert bootstrap_interval([0.0, 1.0], rng(), level=0.4) == (0.5, 0.5)


def test_close_to_the_normal_interval_for_many_patients():
    values = rng(1).normal(0.8, 0.1, 400)
    low, high = bootstrap_interval(values, rng(2))
    half = 1.96 * values.std() / np.sqrt(400)
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.001)


def test_a_median_shrugs_at_one_outlier_where_a_mean_does_not():
    values = [0.9] * 20 + [0.0]
    assert bootstrap_interval(values, rng(), statistic="median") == pytest.approx((0.9, 0.9))
    assert bootstrap_interval(values, rng())[0] < 0.85


def test_the_same_generator_gives_the_same_interval():
    values = rng(5).random(9)
    assert bootstrap_interval(values, rng(7)) == bootstrap_interval(values, rng(7))
    assert bootstrap_interval(values, rng(7)) != bootstrap_interval(values, rng(8))


def test_nobody_and_nonsense():
    assert all(isnan(bound) for bound in bootstrap_interval([], rng()))
    with pytest.raises(InputError, match="finite"):
        bootstrap_interval([0.5, nan], rng())
