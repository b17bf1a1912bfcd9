"""A patient's part is decided once, whatever comes later."""

from __future__ import annotations

import pytest

from tumorseg.active_learning.frozen import SHARE, assign, by_hash
from tumorseg.errors import InputError

MANY = [f"patient-{number}" for number in range(400)]


def test_nobody_moves_when_others_arrive() -> None:
    whole = assign(MANY)
    for size in (1, 2, 3, 50, 399):
        early = assign(MANY[:size])
        assert early.items() <= whole.items()
        assert assign(MANY, early) == whole


def test_later_patients_do_not_depend_on_the_order() -> None:
    one, other = assign(MANY), assign([*MANY[:2], *reversed(MANY[2:])])
    assert one == other


@pytest.mark.parametrize("start", range(0, 60, 2))
def test_there_is_somebody_to_train_and_to_validate_on_from_the_second_patient(start: int) -> None:
    assert set(assign(MANY[start : start + 2]).values()) == {"train", "validation"}


def test_about_the_wanted_share_validates() -> None:
    parts = list(assign(MANY).values())
    assert parts.count("validation") / len(parts) == pytest.approx(SHARE, abs=0.05)
    assert sum(by_hash(name, 0.5) == "validation" for name in MANY) / 400 == pytest.approx(0.5, abs=0.08)


def test_what_is_known_wins_over_the_hash() -> None:
    other = {"train": "validation", "validation": "train"}
    known = {name: other[by_hash(name)] for name in MANY[:5]}
    assert assign(MANY, known).items() >= known.items()  # type: ignore[arg-type]


def test_the_hash_is_the_same_on_every_machine() -> None:
    assert [by_hash(name, 0.5) for name in ("a", "b", "c", "d")] == ["train", "validation", "validation", "validation"]


def test_a_patient_named_twice_counts_once() -> None:
    assert assign(["x", "x", "x"]) == {"x": by_hash("x")}


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan")])
def test_a_share_that_leaves_nobody_is_refused(share: float) -> None:
    with pytest.raises(InputError):
        by_hash("a", share)
