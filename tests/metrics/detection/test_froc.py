"""FROC, by hand and against MONAI's curve."""

from math import isnan

import numpy as np
import pytest

from tests.metrics.detection.cases import hits, image, random_results
from tumorseg.metrics.detection.froc import RATES, cpms, froc
from tumorseg.metrics.detection.matching import rank

HERE, THERE, ELSEWHERE = (10, 10, 30, 30), (60, 60, 80, 80), (40, 10, 50, 20)


def test_counted_by_hand():
    # right, wrong, right, wrong: four images, three objects
    ours = froc(hits(1, 0, 1, 0, truths=3, images=4))
    assert ours.false_positives.tolist() == [0, 0.25, 0.25, 0.5]
    assert ours.sensitivity == pytest.approx([1 / 3, 1 / 3, 2 / 3, 2 / 3])
    assert ours.rates == RATES == (1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8)
    assert ours.at_rates == pytest.approx([1 / 3, *[2 / 3] * 6])
    assert ours.cpm == pytest.approx((1 / 3 + 6 * 2 / 3) / 7)


def test_nothing_is_found_at_rates_below_the_first_point():
    ours = froc(hits(0, 1, truths=1))
    assert ours.at_rates == (0, 0, 0, 1, 1, 1, 1)


def test_all_found_and_nothing_found_and_nothing_there():
    assert froc(hits(1, 1, truths=2)).cpm == 1.0
    assert froc(hits(truths=2)).cpm == 0.0
    assert isnan(froc(hits(truths=0)).cpm)
    assert isnan(froc(hits(0, truths=0)).cpm)
    assert isnan(cpms(hits(truths=0), np.ones((1, 1)))[0])


def test_one_score_is_one_point():
    results = [image([HERE], [(0.8, HERE)]), image([], [(0.8, HERE)])]
    ours = froc(rank(results))
    assert (ours.scores.tolist(), ours.false_positives.tolist(), ours.sensitivity.tolist()) == ([0.8], [0.5], [1.0])
    assert ours.at_rates[:2] == (0.0, 0.0)


@pytest.mark.parametrize("seed", range(4))
def test_the_curve_is_monais(seed):
    from monai.metrics.froc import compute_froc_curve_data, compute_froc_score

    ranking = rank(random_results(seed))
    wrong, right = ranking.scores[~ranking.hit], ranking.scores[ranking.hit]
    rates, sensitivity = compute_froc_curve_data(wrong, right, int(ranking.truths.sum()), ranking.images)
    ours = froc(ranking)
    # MONAI's goes from the lowest score up, leaves that one out and ends with (0, 0).
    assert ours.false_positives[:-1][::-1] == pytest.approx(rates[:-1])
    assert ours.sensitivity[:-1][::-1] == pytest.approx(sensitivity[:-1])
    # It interpolates: higher than ours, by no more than a step of the curve.
    at = (0.25, 0.5, 1, 2)
    theirs = float(compute_froc_score(rates, sensitivity, at))
    step = np.diff(ours.sensitivity, prepend=0).max() + 1e-9
    assert froc(ranking, at).cpm - step <= theirs <= froc(ranking, at).cpm + step


@pytest.mark.parametrize("digits", [None, 1])
def test_weights_are_the_same_as_images_many_times_over(digits):
    results = random_results(5, images=9, score_digits=digits)
    weights = np.random.default_rng(0).multinomial(9, np.full(9, 1 / 9), size=6).astype(float)
    ours = cpms(rank(results), weights)
    for row, value in zip(weights.astype(int), ours, strict=True):
        drawn = [result for result, times in zip(results, row, strict=True) for _ in range(times)]
        assert value == pytest.approx(froc(rank(drawn)).cpm, nan_ok=True)


def test_sensitivity_rises_with_the_rate():
    at = froc(rank(random_results(7))).at_rates
    assert list(at) == sorted(at)
    assert 0 < at[0] < at[-1] <= 1
