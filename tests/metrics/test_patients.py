"""Intervals over many images of few patients."""

import time
from math import isnan, nan

import numpy as np
import pytest

from tests.metrics.detection.cases import random_results
from tumorseg.errors import InputError
from tumorseg.metrics.bootstrap import bootstrap_interval
from tumorseg.metrics.detection.average_precision import average_precision, average_precisions
from tumorseg.metrics.detection.matching import rank
from tumorseg.metrics.patients import interval_by_patient, resample_by_patient, weighted_mean, weighted_ratio


def rng(seed=0):
    return np.random.default_rng(seed)


def test_patients_are_drawn_and_not_images():
    # Two patients, one all 0 and one all 1, 50 images each: a resample is 0, 0.5 or 1, however many images there are.
    values = np.repeat([0.0, 1.0], 50)
    patients = ["a"] * 50 + ["b"] * 50
    drawn = resample_by_patient(weighted_mean(values), patients, rng())
    assert set(drawn) == {0.0, 0.5, 1.0}
    assert np.mean(drawn == 0.5) == pytest.approx(0.5, abs=0.05)
    assert interval_by_patient(weighted_mean(values), patients, rng()) == (0.0, 1.0)
    by_image = interval_by_patient(weighted_mean(values), [str(n) for n in range(100)], rng())
    assert by_image == pytest.approx((0.4, 0.6), abs=0.02)


def test_a_patient_with_many_images_weighs_more():
    values = np.array([0.0, 1.0, 1.0, 1.0])
    drawn = resample_by_patient(weighted_mean(values), ["a", "b", "b", "b"], rng())
    assert set(drawn) == {0.0, 0.75, 1.0}


def test_the_same_as_the_plain_bootstrap_where_each_patient_has_one_image():
    values = rng(1).normal(0.8, 0.1, 60)
    ours = interval_by_patient(weighted_mean(values), [str(n) for n in range(60)], rng(2), resamples=20_000)
    assert ours == pytest.approx(bootstrap_interval(values, rng(3), resamples=20_000), abs=0.002)


def test_the_same_generator_gives_the_same_interval():
    values, patients = rng(5).random(30), [str(n // 3) for n in range(30)]
    first, again, other = (interval_by_patient(weighted_mean(values), patients, rng(seed)) for seed in (7, 7, 8))
    assert first == again != other


def test_how_many_are_held_at_a_time_changes_nothing(monkeypatch):
    values, patients = rng(5).random(30), [str(n // 3) for n in range(30)]
    at_once = resample_by_patient(weighted_mean(values), patients, rng())
    monkeypatch.setattr("tumorseg.metrics.patients._AT_ONCE", 100)
    assert resample_by_patient(weighted_mean(values), patients, rng()) == pytest.approx(at_once)


def test_a_dice_of_all_pixels_together():
    both, sizes = np.array([10.0, 0.0, 5.0]), np.array([40.0, 20.0, 10.0])
    statistic = weighted_ratio(2 * both, sizes)
    assert statistic(np.array([[1.0, 1.0, 1.0], [0.0, 3.0, 0.0]])) == pytest.approx([30 / 70, 0.0])


def test_what_is_not_defined_is_left_out():
    # Image 1 has no lesion: its Dice is NaN, and a resample of nothing else is not defined.
    statistic = weighted_mean(np.array([0.5, nan]))
    assert statistic(np.array([[1.0, 1.0], [0.0, 2.0]])) == pytest.approx([0.5, nan], nan_ok=True)
    assert isnan(weighted_ratio(np.zeros(1), np.zeros(1))(np.ones((1, 1)))[0])
    assert interval_by_patient(statistic, ["a", "b"], rng()) == (0.5, 0.5)
    assert all(isnan(bound) for bound in interval_by_patient(weighted_mean(np.array([nan])), ["a"], rng()))
    assert all(isnan(bound) for bound in interval_by_patient(statistic, [], rng()))


def test_a_statistic_answers_every_resample():
    with pytest.raises(InputError, match="one value for each resample"):
        interval_by_patient(lambda weights: weights, ["a", "b"], rng())


def test_average_precision_lies_in_its_interval_and_a_thousand_resamples_take_no_time():
    results = random_results(0, images=60)
    ranking = rank(results)
    started = time.perf_counter()
    low, high = interval_by_patient(
        lambda weights: average_precisions(ranking, weights), [result.cluster for result in results], rng()
    )
    assert time.perf_counter() - started < 5
    assert 0 < low < average_precision(ranking) < high < 1
