"""A case is given to one annotator at a time, for a time, whatever the clock does."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from pathlib import Path

import pytest

from tumorseg.errors import ConflictError, InputError
from tumorseg.labels.database import Database
from tumorseg.labels.leases import Leases

CASES = [f"case{number}" for number in range(30)]


class Clock:
    """A wall clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def leases(tmp_path: Path, clock: Clock) -> Iterator[Leases]:
    database = Database(tmp_path / "index.sqlite")
    yield Leases(database, minutes=30, clock=clock)
    database.close()


def test_one_holder_at_a_time(leases: Leases) -> None:
    assert leases.acquire("case", "ann").holder == "ann"
    with pytest.raises(ConflictError, match=r"ann works on 'case' until 1970-01-12T14:16:40\+00:00"):
        leases.acquire("case", "bob")
    assert leases.take("case", "bob") is None
    assert leases.held_by_others("bob") == {"case"}
    assert leases.held_by_others("ann") == set()


def test_the_holder_may_keep_it_for_longer(leases: Leases, clock: Clock) -> None:
    leases.acquire("case", "ann")
    clock.now += 29 * 60
    leases.acquire("case", "ann")
    clock.now += 29 * 60
    assert leases.take("case", "bob") is None


def test_a_lease_ends_by_itself(leases: Leases, clock: Clock) -> None:
    leases.acquire("case", "ann")
    clock.now += 30 * 60
    assert leases.get("case") is None
    assert leases.list() == []
    assert leases.acquire("case", "bob").holder == "bob"


def test_only_the_holder_gives_it_back(leases: Leases) -> None:
    leases.acquire("case", "ann")
    assert not leases.release("case", "bob")
    assert leases.get("case") is not None
    assert leases.release("case", "ann")
    assert not leases.release("case", "ann")
    leases.acquire("case", "ann")
    assert leases.release("case")


def test_the_next_case_gives_the_one_before_back(leases: Leases) -> None:
    leases.take("one", "ann")
    leases.take("two", "ann")
    assert [lease.image for lease in leases.list()] == ["two"]


def test_a_clock_set_back_makes_no_lease_last_longer(leases: Leases, clock: Clock) -> None:
    leases.acquire("case", "ann")
    clock.now -= 7 * 24 * 3600
    assert leases.take("case", "bob") is None  # still ann's, from now on for as long as a new one
    clock.now += 30 * 60
    assert leases.take("case", "bob") is not None


def test_a_clock_set_back_is_seen_by_those_who_only_look(leases: Leases, clock: Clock) -> None:
    leases.acquire("case", "ann")
    clock.now -= 7 * 24 * 3600
    found = leases.get("case")
    assert found is not None
    assert found.until <= clock.now + 30 * 60


@pytest.mark.parametrize("holder", ["", "x" * 300, "bad \ud83d"])
def test_a_holder_has_a_name(holder: str, leases: Leases) -> None:
    with pytest.raises(InputError, match="a name of"):
        leases.acquire("case", holder)


def _grab(path: Path, holder: str) -> list[str]:
    """Try every case once, as a process of its own."""
    leases = Leases(Database(path), minutes=30)
    given = []
    for case in CASES:
        try:
            given.append(leases.acquire(case, holder).image)
        except ConflictError:
            continue
    return given


def test_two_processes_never_give_the_same_lease(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        given = pool.starmap(_grab, [(path, holder) for holder in ("ann", "bob", "cat")])
    assert sorted(case for cases in given for case in cases) == sorted(CASES)
