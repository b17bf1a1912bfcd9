from __future__ import annotations

import pytest

from tumorseg.adapters.jobs.pace import MEMORY_S, Pace


def test_a_steady_pace_is_known_from_the_second_value_on() -> None:
    pace = Pace()
    assert pace.update(0.0, 100.0) is None
    assert pace.update(0.1, 110.0) == pytest.approx(90)
    assert pace.update(0.5, 150.0) == pytest.approx(50)
    assert pace.update(1.0, 200.0) == 0


def test_what_an_earlier_attempt_did_took_no_time() -> None:
    pace = Pace()
    assert pace.update(0.8, 0.0) is None
    assert pace.update(0.9, 10.0) == pytest.approx(10)


def test_a_change_of_pace_is_followed() -> None:
    pace = Pace()
    for second in range(11):
        pace.update(second / 100, float(second))
    for second in range(1, int(5 * MEMORY_S)):
        eta = pace.update(0.1 + second / 10_000, 10.0 + second)
    assert eta is not None
    left = 1 - (0.1 + second / 10_000)
    assert eta == pytest.approx(left * 10_000, rel=0.1)


def test_standing_still_and_a_clock_that_stands_still_divide_nothing() -> None:
    pace = Pace()
    assert pace.update(0.0, 0.0) is None
    assert pace.update(0.0, 5.0) is None
    assert pace.update(0.5, 0.0) is None
    assert pace.update(0.5, 10.0) == pytest.approx(10)
    assert pace.update(0.5, 11.0) == pytest.approx(10)


def test_going_back_begins_again() -> None:
    pace = Pace()
    pace.update(0.0, 0.0)
    pace.update(0.9, 9.0)
    assert pace.update(0.1, 10.0) is None
    assert pace.update(0.2, 30.0) == pytest.approx(160)
