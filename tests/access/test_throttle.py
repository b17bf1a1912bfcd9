"""Guessing gets slow; nobody is kept out by somebody else's guesses."""

from __future__ import annotations

import pytest

from tests.access.test_oidc import Clock
from tumorseg.access.errors import ThrottledError
from tumorseg.access.throttle import FORGET_S, LIMITS, Throttle


def guess(throttle: Throttle, name: str, address: str, clock: Clock) -> int:
    """Guess once and return how long one had to wait before."""
    waited = 0
    while True:
        try:
            throttle.begin(name, address)
            return waited
        except ThrottledError as error:
            clock.now += error.retry_after
            waited += max(1, error.retry_after)


def test_the_first_failures_are_free_then_it_doubles() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    waits = [guess(throttle, "ann", "10.0.0.1", clock) for _ in range(16)]
    assert waits[: LIMITS[0].free] == [0] * LIMITS[0].free
    assert waits[5:] == sorted(waits[5:])
    assert waits[-1] > 100
    assert max(waits) <= LIMITS[0].longest_s + 1


def test_many_names_from_one_address() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    waits = [guess(throttle, f"user{number}", "10.0.0.1", clock) for number in range(30)]
    assert waits[: LIMITS[1].free] == [0] * LIMITS[1].free
    assert waits[-1] > 0
    assert guess(throttle, "user0", "10.0.0.2", clock) == 0


def test_one_name_from_many_addresses_keeps_its_owner_out_for_seconds_only() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    for number in range(300):
        guess(throttle, "ann", f"10.0.{number // 250}.{number % 250}", clock)
    assert 0 < guess(throttle, "ann", "10.9.9.9", clock) <= LIMITS[2].longest_s + 1


def test_an_ipv6_subscriber_is_one_place() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    waits = [guess(throttle, f"user{number}", f"2001:db8::{number:x}", clock) for number in range(30)]
    assert waits[-1] > 0
    assert guess(throttle, "user0", "2001:db8:1::1", clock) == 0


def test_knowing_the_password_takes_the_failures_back() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    for _ in range(200):
        assert guess(throttle, "Ann", "10.0.0.1", clock) == 0
        throttle.succeeded("ann", "10.0.0.1")


def test_many_at_once_do_not_pass_before_the_first_one_failed() -> None:
    throttle = Throttle(Clock())
    begun = 0
    for _ in range(50):
        try:
            throttle.begin("ann", "10.0.0.1")
            begun += 1
        except ThrottledError:
            pass
    assert begun == LIMITS[0].free


def test_an_hour_later_it_is_forgotten() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    for _ in range(10):
        guess(throttle, "ann", "10.0.0.1", clock)
    clock.now += FORGET_S + 1
    assert guess(throttle, "ann", "10.0.0.1", clock) == 0


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tumorseg.access.throttle._MOST_KEPT", 30)
    clock = Clock()
    throttle = Throttle(clock)
    for number in range(200):
        guess(throttle, f"user{number}", f"10.0.0.{number}", clock)
    assert len(throttle._counts) <= 30
