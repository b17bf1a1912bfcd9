"""Old records leave the audit log by one door, and the rest still follows from them."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.audit.test_verify import cheat
from tumorseg.audit.database import FILE_NAME
from tumorseg.audit.export import export, remove
from tumorseg.audit.log import AuditLog
from tumorseg.audit.read import Wanted, records
from tumorseg.audit.record import GENESIS, AuditRecord
from tumorseg.audit.verify import verify
from tumorseg.errors import InputError

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    days = iter([0, 1, 2, 1, 4])  # the clock goes backwards once
    log = AuditLog(tmp_path / "audit", clock=lambda: START + timedelta(days=next(days)))
    for _ in range(5):
        log.record("ann", "annotator", "label.save", "case1", 200)
    log.close()
    return tmp_path / "audit"


def test_what_leaves_is_whole_and_what_stays_follows_from_it(folder: Path, tmp_path: Path) -> None:
    assert export(folder, "2026-01-03T00:00:00.000Z", tmp_path / "old.jsonl") == (2, 2)
    remove(folder, 2, "root")
    digest = GENESIS
    for line in (tmp_path / "old.jsonl").read_text().splitlines():
        record = AuditRecord(**json.loads(line))
        assert record.digest == record.chained(digest)
        digest = record.digest
    verdict = verify(folder)
    assert (verdict.records, verdict.first, verdict.last, verdict.broken) == (4, 3, 6, None)
    assert verify(folder, (2, digest)).broken is None
    newest = records(folder, Wanted(limit=1))[0]
    assert (newest.who, newest.action, newest.detail) == ("root", "audit.remove", {"up_to": 2})


def test_after_an_export_records_still_cannot_be_removed(folder: Path, tmp_path: Path) -> None:
    export(folder, "2027-01-01T00:00:00.000Z", tmp_path / "old.jsonl")
    remove(folder, 5, "root")
    with sqlite3.connect(folder / FILE_NAME) as connection, pytest.raises(sqlite3.IntegrityError):
        connection.execute("DELETE FROM record")
    assert AuditLog(folder).record("ann", "annotator", "label.save").seq == 7
    assert verify(folder).broken is None


def test_a_damaged_log_is_left_as_it_is(folder: Path, tmp_path: Path) -> None:
    cheat(folder, "UPDATE record SET who = 'eve' WHERE seq = 1")
    with pytest.raises(InputError, match="damaged"):
        export(folder, "2027-01-01T00:00:00.000Z", tmp_path / "old.jsonl")
    assert not (tmp_path / "old.jsonl").exists()


def test_nothing_is_overwritten_and_nothing_is_invented(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "old.jsonl").write_text("the export of last year")
    with pytest.raises(InputError, match="exists already"):
        export(folder, "2027-01-01T00:00:00.000Z", tmp_path / "old.jsonl")
    with pytest.raises(InputError, match="found none"):
        export(folder, "2025-01-01T00:00:00.000Z", tmp_path / "new.jsonl")
    assert (tmp_path / "old.jsonl").read_text() == "the export of last year"
    with pytest.raises(InputError, match="no record 99"):
        remove(folder, 99, "root")
    assert verify(folder).records == 5
