"""Records that nobody waits for."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tumorseg.audit.buffer import SAME_S, AuditBuffer
from tumorseg.audit.log import AuditLog, Event
from tumorseg.audit.read import Wanted, records

LOOK = Event("ann", "viewer", "dicom.read", "1.2.3.4.5", 200, how="token")


def test_two_hundred_slices_are_one_record(tmp_path: Path) -> None:
    buffer = AuditBuffer(AuditLog(tmp_path, dicom=True))
    assert [buffer.add(LOOK) for _ in range(200)].count(True) == 1
    buffer.close()
    found = records(tmp_path, Wanted())
    assert [(record.who, record.action, record.image) for record in found] == [("ann", "dicom.read", "1.2.3.4.5")]


def test_another_person_image_action_or_outcome_is_another_record(tmp_path: Path) -> None:
    buffer = AuditBuffer(AuditLog(tmp_path, dicom=True))
    events = [
        LOOK,
        Event("bob", "viewer", "dicom.read", "1.2.3.4.5", 200, how="token"),
        Event("ann", "viewer", "image.read", "1.2.3.4.5", 200, how="token"),
        Event("ann", "viewer", "dicom.read", "1.2.3.4.6", 200, how="token"),
        Event("ann", "viewer", "dicom.read", "1.2.3.4.5", 404, how="token"),
    ]
    assert all(buffer.add(event) for event in events)
    buffer.close()
    assert len(records(tmp_path, Wanted())) == 5


def test_a_minute_later_it_is_recorded_again(tmp_path: Path) -> None:
    now = 0.0
    buffer = AuditBuffer(AuditLog(tmp_path, dicom=True), clock=lambda: now)
    assert buffer.add(LOOK)
    now = SAME_S - 1
    assert not buffer.add(LOOK)
    now = SAME_S
    assert buffer.add(LOOK)
    buffer.close()
    assert len(records(tmp_path, Wanted())) == 2


def test_records_are_written_without_closing(tmp_path: Path) -> None:
    buffer = AuditBuffer(AuditLog(tmp_path))
    buffer.add(LOOK)
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if (tmp_path / "audit.sqlite").exists() and records(tmp_path, Wanted()):
            break
        time.sleep(0.05)
    assert len(records(tmp_path, Wanted())) == 1
    buffer.close()


def test_a_disk_that_comes_back_gets_what_waited(tmp_path: Path) -> None:
    folder = tmp_path / "audit"
    folder.write_text("no folder")
    buffer = AuditBuffer(AuditLog(folder))
    buffer.add(LOOK)
    time.sleep(0.5)  # the first attempt has failed
    folder.unlink()
    buffer.close()
    assert buffer.lost == 0
    assert len(records(folder, Wanted())) == 1


def test_what_cannot_be_held_is_dropped_counted_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "audit").write_text("no folder")
    buffer = AuditBuffer(AuditLog(tmp_path / "audit"), held=3)
    taken = [buffer.add(Event(f"p{number}", "viewer", "image.read")) for number in range(5)]
    assert taken.count(True) >= 3
    buffer.close()
    assert buffer.lost == 5
    assert "lost" in caplog.text


def test_what_is_remembered_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tumorseg.audit.buffer._HELD", 10)
    buffer = AuditBuffer(AuditLog(tmp_path))
    for number in range(100):
        buffer.add(Event(f"p{number}", "viewer", "image.read"))
    assert len(buffer._seen) <= 12
    buffer.close()
