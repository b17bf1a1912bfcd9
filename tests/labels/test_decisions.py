"""Decisions about found objects: kept by person, image and model, taken back one by one, never rewritten."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tumorseg.errors import ConflictError, StorageError
from tumorseg.labels.database import Database
from tumorseg.labels.decisions import About, Decisions

ANN = About("ann", "case1", "net", "v1")
AT = (1, 2, 3)


@pytest.fixture
def decisions(tmp_path: Path) -> Decisions:
    return Decisions(Database(tmp_path / "index.sqlite"))


def verdicts(decisions: Decisions, about: About = ANN) -> dict[str, str]:
    return {name: decision.verdict for name, decision in decisions.of(about).items()}


def test_the_last_word_counts_and_undo_brings_the_one_before_back(decisions: Decisions) -> None:
    decisions.add(ANN, "a", "keep", AT, {})
    decisions.add(ANN, "b", "drop", AT, {"score": 0.3})
    decisions.add(ANN, "a", "drop", AT, {})
    assert verdicts(decisions) == {"a": "drop", "b": "drop"}
    assert decisions.undo(ANN).instance == "a"
    assert verdicts(decisions) == {"a": "keep", "b": "drop"}
    assert decisions.undo(ANN).options == {"score": 0.3}
    decisions.add(ANN, "c", "keep", AT, {})
    assert verdicts(decisions) == {"a": "keep", "c": "keep"}
    decisions.undo(ANN)
    assert decisions.undo(ANN).verdict == "keep"
    with pytest.raises(ConflictError, match="nothing to undo"):
        decisions.undo(ANN)


def test_a_second_click_of_the_same_kind_is_no_second_decision(decisions: Decisions) -> None:
    first = decisions.add(ANN, "a", "drop", AT, {})
    assert decisions.add(ANN, "a", "drop", (9, 9, 9), {}) == first
    decisions.undo(ANN)
    assert verdicts(decisions) == {}


@pytest.mark.parametrize(
    "other",
    [About("bob", *("case1", "net", "v1")), About("ann", "case2", "net", "v1"), About("ann", "case1", "x", "v1")],
)
def test_nobody_and_nothing_else_is_concerned(decisions: Decisions, other: About) -> None:
    decisions.add(ANN, "a", "drop", AT, {})
    assert verdicts(decisions, other) == {}
    with pytest.raises(ConflictError):
        decisions.undo(other)


def test_another_version_of_the_model_begins_anew_and_the_old_ones_are_counted(decisions: Decisions) -> None:
    decisions.add(ANN, "a", "drop", AT, {})
    newer = About("ann", "case1", "net", "v2")
    decisions.add(newer, "b", "keep", AT, {})
    decisions.undo(newer)
    assert verdicts(decisions, newer) == {}
    assert decisions.versions("ann", "case1", "net") == {"v1": 1, "v2": 0}


def test_they_survive_and_cannot_be_rewritten(decisions: Decisions, tmp_path: Path) -> None:
    assert verdicts(decisions) == {}  # there is no file yet
    decisions.add(ANN, "a", "drop", AT, {})
    again = Decisions(Database(tmp_path / "index.sqlite"))
    assert again.of(ANN)["a"].at == AT
    for sql in ("UPDATE decisions SET verdict = 'keep'", "DELETE FROM decisions"):
        with (
            pytest.raises((sqlite3.Error, StorageError)),
            Database(tmp_path / "index.sqlite").transaction() as connection,
        ):
            connection.execute(sql)
    assert verdicts(again) == {"a": "drop"}
