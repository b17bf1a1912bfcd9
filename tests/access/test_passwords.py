"""Passwords are kept as argon2id, and a wrong one says nothing of who is known."""

from __future__ import annotations

import time

import pytest

from tumorseg.access.passwords import MAX_LENGTH, hash_password, is_password
from tumorseg.errors import InputError

PASSWORD = "correct horse battery"


def test_right_and_wrong() -> None:
    kept = hash_password(PASSWORD)
    assert kept.startswith("$argon2id$")
    assert hash_password(PASSWORD) != kept
    assert is_password(kept, PASSWORD)
    assert not is_password(kept, PASSWORD + " ")
    assert not is_password(kept, "")
    assert not is_password(None, PASSWORD)
    assert not is_password("damaged", PASSWORD)


@pytest.mark.parametrize("password", ["", "elevenchars", "x" * (MAX_LENGTH + 1)])
def test_lengths(password: str) -> None:
    with pytest.raises(InputError, match="characters"):
        hash_password(password)


def test_an_endless_password_is_not_hashed_whole() -> None:
    kept = hash_password("x" * MAX_LENGTH)
    assert is_password(kept, "x" * MAX_LENGTH)
    assert not is_password(kept, "x" * 10_000_000)


def test_nobody_takes_as_long_as_somebody() -> None:
    """Loosely: the point is that the hash is computed at all, which takes a hundred times as long as not to."""
    kept = hash_password(PASSWORD)
    is_password(None, PASSWORD)

    def quickest(stored: str | None) -> float:
        times = []
        for _ in range(5):
            begin = time.perf_counter()
            is_password(stored, "wrong wrong wrong")
            times.append(time.perf_counter() - begin)
        return min(times)

    assert quickest(None) > quickest(kept) / 5
