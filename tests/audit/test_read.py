"""Looking into the audit log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tumorseg.audit.log import AuditLog
from tumorseg.audit.read import Wanted, records

START = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    hours = iter(range(100))
    log = AuditLog(tmp_path, clock=lambda: START + timedelta(hours=next(hours)))
    for who, action, image in [
        ("ann", "image.read", "case1"),
        ("bob", "label.save", "case1"),
        ("ann", "label.save", "case2"),
        ("eve", "labels", ""),
    ]:
        log.record(who, "annotator", action, image or None, 200)
    log.close()
    return tmp_path


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted(), [4, 3, 2, 1]),
        (Wanted(limit=2), [4, 3]),
        (Wanted(limit=2, before=3), [2, 1]),
        (Wanted(who="ann"), [3, 1]),
        (Wanted(image="case1"), [2, 1]),
        (Wanted(action="label.save"), [3, 2]),
        (Wanted(action="label"), [3, 2]),
        (Wanted(action="%"), []),
        (Wanted(since="2026-11-21T02:00:00.000Z"), [4, 3]),
        (Wanted(until="2026-11-21T01:00:00.000Z"), [1]),
        (Wanted(who="ann", image="case1", action="image.read"), [1]),
        (Wanted(who="' OR 1=1 --"), []),
    ],
)
def test_only_what_is_wanted_is_found(wanted: Wanted, found: list[int], folder: Path) -> None:
    assert [record.seq for record in records(folder, wanted)] == found


def test_a_server_that_writes_does_not_stop_a_reader(folder: Path) -> None:
    log = AuditLog(folder)
    log.record("ann", "annotator", "label.save")
    with log._transaction():
        assert len(records(folder, Wanted())) == 5
