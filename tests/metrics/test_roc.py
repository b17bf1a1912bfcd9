"""ROC, by hand and against scikit-learn."""

from math import isnan

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.metrics import roc_curve as reference_curve

from tumorseg.errors import InputError
from tumorseg.metrics.roc import roc_auc, roc_aucs, roc_curve


def scored(seed, digits=None, number=200):
    rng = np.random.default_rng(seed)
    truth = rng.random(number) < 0.3
    scores = rng.normal(truth * 1.0, 1.0)
    return (scores if digits is None else scores.round(digits)), truth


@pytest.mark.parametrize(
    ("scores", "truth", "expected"),
    [
        ([0.9, 0.8, 0.2, 0.1], [1, 1, 0, 0], 1.0),
        ([0.9, 0.8, 0.2, 0.1], [0, 0, 1, 1], 0.0),
        ([0.9, 0.8, 0.2, 0.1], [1, 0, 1, 0], 3 / 4),  # of four pairs three are in order
        ([0.5, 0.5, 0.5], [1, 0, 0], 0.5),  # a tie counts half
        ([0.5, 0.5, 0.2], [1, 0, 0], 3 / 4),
    ],
)
def test_counted_by_hand(scores, truth, expected):
    assert roc_auc(np.array(scores), np.array(truth, bool)) == pytest.approx(expected)


@pytest.mark.parametrize("digits", [None, 1, 0])
@pytest.mark.parametrize("seed", range(3))
def test_scikit_learn_says_the_same(seed, digits):
    scores, truth = scored(seed, digits)
    assert roc_auc(scores, truth) == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
    wrong, right, levels = reference_curve(truth, scores, drop_intermediate=False)
    ours = roc_curve(scores, truth)
    assert ours.false_positive_rate == pytest.approx(wrong)
    assert ours.true_positive_rate == pytest.approx(right)
    assert ours.scores == pytest.approx(levels)
    assert np.trapezoid(ours.true_positive_rate, ours.false_positive_rate) == pytest.approx(roc_auc(scores, truth))


@pytest.mark.parametrize("digits", [None, 0])
def test_weights_are_the_same_as_slices_many_times_over(digits):
    scores, truth = scored(4, digits, number=30)
    weights = np.random.default_rng(0).integers(0, 3, (5, 30)).astype(float)
    repeated = [np.repeat(np.arange(30), row.astype(int)) for row in weights]
    expected = [roc_auc(scores[drawn], truth[drawn]) for drawn in repeated]
    assert roc_aucs(scores, truth, weights) == pytest.approx(expected)


def test_only_the_order_counts():
    scores, truth = scored(5)
    assert roc_auc(np.exp(scores), truth) == pytest.approx(roc_auc(scores, truth))
    assert roc_auc(-scores, truth) == pytest.approx(1 - roc_auc(scores, truth))


def test_one_kind_alone_has_no_area():
    for truth in ([True, True], [False, False]):
        assert isnan(roc_auc(np.array([0.1, 0.9]), np.array(truth)))
    assert isnan(roc_auc(np.zeros(0), np.zeros(0, bool)))
    curve = roc_curve(np.array([0.1, 0.9]), np.array([True, True]))
    assert curve.true_positive_rate.tolist() == [0.0, 0.5, 1.0]
    assert np.isnan(curve.false_positive_rate).all()


@pytest.mark.parametrize(
    ("scores", "truth", "message"),
    [
        (np.zeros(3), np.zeros(2, bool), r"got \(3,\) and bool \(2,\)"),
        (np.zeros(3), np.zeros(3), "boolean truth"),
        (np.array([0.1, np.nan]), np.zeros(2, bool), "finite scores, got 1"),
    ],
)
def test_what_cannot_be_compared(scores, truth, message):
    with pytest.raises(InputError, match=message):
        roc_auc(scores, truth)
