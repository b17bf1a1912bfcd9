"""Areas, labels needed, tests and intervals by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tumorseg.active_learning.curves import aubc, holm, interval, labels_for, paired_p
from tumorseg.errors import InputError


def test_area_is_the_mean_score_over_the_budget() -> None:
    assert aubc([10, 20, 40], np.array([0.0, 0.5, 1.0])) == pytest.approx((2.5 + 15) / 30)
    assert aubc([10, 20], np.array([[0.4, 0.4], [0.0, 1.0]])) == pytest.approx([0.4, 0.5])
    assert aubc([5], np.array([0.3])) == pytest.approx(0.3)


@pytest.mark.parametrize("labels", [[1, 1], [2, 1], [1, 2, 3]])
def test_labels_that_do_not_rise_or_fit_are_refused(labels: list[float]) -> None:
    with pytest.raises(InputError):
        aubc(labels, np.zeros(2))


def test_labels_needed_are_interpolated() -> None:
    assert labels_for(0.75, [10, 20, 30], [0.5, 0.7, 0.8]) == pytest.approx(25.0)
    assert labels_for(0.7, [10, 20, 30], [0.5, 0.7, 0.8]) == pytest.approx(20.0)
    assert labels_for(0.2, [10, 20], [0.5, 0.7]) == 10.0
    assert labels_for(0.9, [10, 20], [0.5, 0.7]) is None
    assert labels_for(0.6, [10, 20, 30], [0.5, 0.7, 0.4]) == pytest.approx(15.0)  # the first time


def test_paired_p_by_hand() -> None:
    # mean 2, standard deviation 1: t = 2 / (1 / sqrt(3)) with 2 degrees of freedom
    t = 2 * 3**0.5
    assert paired_p([1.0, 2.0, 3.0]) == pytest.approx((1 - t / (2 + t**2) ** 0.5) / 2)
    assert paired_p([-1.0, -2.0, -3.0]) > 0.95


def test_what_cannot_be_tested_is_not_significant() -> None:
    assert paired_p([]) == paired_p([0.5]) == 1.0
    assert paired_p([0.0, 0.0, 0.0]) == 1.0
    assert paired_p([0.1, 0.1, 0.1]) == 0.0


def test_holm_by_hand() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06})
    assert holm({"a": 0.9, "b": 0.8}) == {"a": 1.0, "b": 1.0}
    assert holm({}) == {}


def test_the_interval_holds_the_mean_and_widens_with_patients_that_differ() -> None:
    rng = np.random.default_rng(0)
    calm = 0.5 + 0.01 * rng.normal(size=(3, 20, 4))
    wild = calm + rng.choice([-0.3, 0.3], size=(1, 20, 1))
    low, high = interval(calm, np.random.default_rng(1))
    assert ((low <= calm.mean((0, 1))) & (calm.mean((0, 1)) <= high)).all()
    wide = np.subtract(*reversed(interval(wild, np.random.default_rng(1))))
    assert (wide > 5 * (high - low)).all()


def test_the_interval_of_one_seed_and_one_patient_is_a_point() -> None:
    low, high = interval(np.array([[[0.2, 0.4]]]), np.random.default_rng(0))
    assert low == pytest.approx([0.2, 0.4])
    assert high == pytest.approx([0.2, 0.4])
