"""Somebody who opens the audit log's file to cheat is found out."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tumorseg.audit.database import FILE_NAME
from tumorseg.audit.log import AuditLog
from tumorseg.audit.record import GENESIS
from tumorseg.audit.verify import parse_head, verify
from tumorseg.errors import InputError, NotFoundError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    log = AuditLog(tmp_path)
    for number in range(5):
        log.record("ann", "annotator", "label.save", f"case{number}", 200, f"r{number}", {"tag": "final", "n": 0.1})
    log.close()
    return tmp_path


def cheat(folder: Path, statement: str) -> None:
    """Change the file as somebody does who may write it: without the triggers."""
    connection = sqlite3.connect(folder / FILE_NAME)
    triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute(statement)
    for _, text in triggers:
        connection.execute(text)
    connection.commit()
    connection.close()


def test_an_untouched_log_is_whole(folder: Path) -> None:
    verdict = verify(folder)
    assert (verdict.records, verdict.first, verdict.last, verdict.broken) == (5, 1, 5, None)
    assert verdict.digest == AuditLog(folder).head()[1]


def test_an_empty_log_is_whole(tmp_path: Path) -> None:
    AuditLog(tmp_path).head()
    verdict = verify(tmp_path)
    assert (verdict.records, verdict.last, verdict.digest, verdict.broken) == (0, 0, GENESIS, None)


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("UPDATE record SET who = 'bob' WHERE seq = 3", 3),
        ("UPDATE record SET detail = '{}' WHERE seq = 2", 2),
        ("UPDATE record SET detail = 'no json' WHERE seq = 2", 2),
        ("UPDATE record SET digest = 'x' WHERE seq = 4", 4),
        ("DELETE FROM record WHERE seq = 3", 3),
        ("DELETE FROM record WHERE seq = 1", 1),
        ("UPDATE record SET seq = 9 WHERE seq = 5", 5),
        ("UPDATE beginning SET digest = 'x'", 1),
    ],
)
def test_a_changed_or_missing_record_is_named(statement: str, broken: int, folder: Path) -> None:
    cheat(folder, statement)
    verdict = verify(folder)
    assert verdict.broken == broken
    assert str(broken) in verdict.why


def test_a_cut_off_end_shows_only_against_what_was_noted_elsewhere(folder: Path) -> None:
    noted = AuditLog(folder).head()
    cheat(folder, "DELETE FROM record WHERE seq > 3")
    assert verify(folder).broken is None
    assert verify(folder, noted).broken == 5


def test_a_log_written_anew_shows_against_what_was_noted_elsewhere(folder: Path) -> None:
    noted = AuditLog(folder).head()
    for path in folder.glob("audit.sqlite*"):
        path.unlink()
    log = AuditLog(folder)
    for _ in range(7):
        log.record("ann", "annotator", "label.save", "other")
    assert verify(folder).broken is None
    assert verify(folder, noted).broken == 5
    assert verify(folder, log.head()).broken is None


def test_there_is_no_log_to_check(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="--state"):
        verify(tmp_path / "none")


@pytest.mark.parametrize("check", [lambda: parse_head("5"), lambda: parse_head("x:" + "0" * 64)])
def test_what_was_noted_must_be_whole(check: Callable[[], object]) -> None:
    with pytest.raises(InputError, match="NUMBER:DIGEST"):
        check()
