"""The audit log: append-only, chained, without names of patients."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tumorseg.audit.database import FILE_NAME
from tumorseg.audit.log import AuditError, AuditLog, Event
from tumorseg.audit.record import GENESIS
from tumorseg.errors import UnavailableError

UID = "1.2.826.0.1.3680043.10.1234.5"


def append_some(folder: Path, who: str, count: int) -> None:
    log = AuditLog(folder)
    for number in range(count):
        log.record(who, "annotator", "label.save", f"case{number}", 200, f"{who}-{number}")
    log.close()


def rows(folder: Path) -> list[sqlite3.Row]:
    connection = sqlite3.connect(folder / FILE_NAME)
    connection.row_factory = sqlite3.Row
    try:
        return connection.execute("SELECT * FROM record ORDER BY seq").fetchall()
    finally:
        connection.close()


def test_a_record_says_who_did_what_when(tmp_path: Path) -> None:
    when = datetime(2026, 11, 21, 8, 5, 1, 250000, tzinfo=UTC)
    log = AuditLog(tmp_path, dicom=True, clock=lambda: when)
    record = log.record(
        "ann", "annotator", "label.save", UID, 200, "r1", {"tag": "final"}, how="token", study="1.2.3.4"
    )
    assert (record.seq, record.time, record.who, record.role, record.how) == (
        1,
        "2026-11-21T08:05:01.250Z",
        "ann",
        "annotator",
        "token",
    )
    assert (record.action, record.image, record.study, record.status, record.request) == (
        "label.save",
        UID,
        "1.2.3.4",
        200,
        "r1",
    )
    assert record.detail == {"tag": "final"}
    assert record.digest == record.chained(GENESIS)
    assert [row["digest"] for row in rows(tmp_path)] == [record.digest]


def test_the_id_of_a_file_never_reaches_the_log(tmp_path: Path) -> None:
    log = AuditLog(tmp_path)
    record = log.record("ann", "viewer", "image.read", "DOE_JANE_19650312", 200, "r1")
    log.close()
    assert record.image.startswith("id:")
    assert record.image == AuditLog(tmp_path).image_name("DOE_JANE_19650312")
    for file in tmp_path.iterdir():
        assert b"DOE" not in file.read_bytes()


def test_a_file_named_like_a_uid_is_no_uid(tmp_path: Path) -> None:
    assert AuditLog(tmp_path).image_name(UID).startswith("id:")
    assert AuditLog(tmp_path, dicom=True).image_name(UID) == UID
    assert AuditLog(tmp_path, dicom=True).image_name("DOE JANE").startswith("id:")


def test_digests_of_two_sites_cannot_be_compared(tmp_path: Path) -> None:
    assert AuditLog(tmp_path / "one").image_name("case1") != AuditLog(tmp_path / "two").image_name("case1")


def test_only_the_owner_reads_it(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit")
    log.record("ann", "viewer", "image.read", "case1")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "audit").iterdir()}
    assert set(modes.values()) == {0o600}
    assert {"audit.key", FILE_NAME} <= set(modes)
    assert stat.S_IMODE((tmp_path / "audit").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE record SET who = 'eve' WHERE seq = 1",
        "DELETE FROM record WHERE seq = 1",
        "DELETE FROM record",
        "INSERT OR REPLACE INTO record SELECT 1, time, 'eve', role, how, action, image, study, label, status, phase, "
        "request, address, detail, digest FROM record WHERE seq = 1",
        "INSERT INTO record SELECT 7, time, who, role, how, action, image, study, label, status, phase, "
        "request, address, detail, digest FROM record WHERE seq = 1",
    ],
)
def test_records_can_be_neither_changed_nor_removed_nor_slipped_in(statement: str, tmp_path: Path) -> None:
    append_some(tmp_path, "ann", 3)
    before = [tuple(row) for row in rows(tmp_path)]
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(statement)
    connection.close()
    assert [tuple(row) for row in rows(tmp_path)] == before


def test_processes_and_threads_append_to_one_chain(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=append_some, args=(tmp_path, f"p{number}", 25)) for number in range(2)]
    for process in processes:
        process.start()
    log = AuditLog(tmp_path)
    threads = [
        threading.Thread(
            target=lambda name=f"t{number}": [log.record(name, "viewer", "image.read", "x") for _ in range(25)]
        )
        for number in range(2)
    ]
    for thread in threads:
        thread.start()
    for worker in (*processes, *threads):
        worker.join(120)
    found = rows(tmp_path)
    assert [row["seq"] for row in found] == list(range(1, 101))
    assert len({row["digest"] for row in found}) == 100


def test_a_clock_set_back_keeps_the_order(tmp_path: Path) -> None:
    times = iter([datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC) - timedelta(days=1)])
    log = AuditLog(tmp_path, clock=lambda: next(times))
    first, second = (log.record("ann", "viewer", "image.read", "x") for _ in range(2))
    assert second.time < first.time
    assert second.seq == first.seq + 1
    assert second.digest == second.chained(first.digest)


def test_several_events_are_one_transaction(tmp_path: Path) -> None:
    log = AuditLog(tmp_path)
    log.append([Event("ann", "viewer", "image.read"), Event("bob", "viewer", "image.read")])
    with pytest.raises(TypeError):
        log.append([Event("ann", "viewer", "image.read"), Event("bob", "viewer", "x", detail={"a": 1, 2: object()})])
    assert [row["who"] for row in rows(tmp_path)] == ["ann", "bob"]


def test_text_from_outside_stays_on_its_line(tmp_path: Path) -> None:
    record = AuditLog(tmp_path).record("ann\n2026 forged line\x1b[31m", "viewer", "x", detail={"long": "x" * 9999})
    assert record.who == "ann?2026 forged line?[31m"
    assert record.detail == {"left_out": "10011 characters"}


def test_a_log_that_cannot_be_written_says_so_and_recovers(tmp_path: Path) -> None:
    (tmp_path / "audit").write_text("a file where the folder should be")
    log = AuditLog(tmp_path / "audit")
    with pytest.raises(AuditError, match="cannot be written") as caught:
        log.record("ann", "annotator", "label.save", "case1")
    assert caught.value.status == 503
    os.remove(tmp_path / "audit")
    assert log.record("ann", "annotator", "label.save", "case1").seq == 1


def test_a_log_taken_away_under_the_server_is_noticed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = AuditLog(tmp_path)
    log.record("ann", "annotator", "label.save", "case1")
    for path in tmp_path.glob("audit.sqlite*"):
        path.unlink()
    assert log.record("ann", "annotator", "label.save", "case2").seq == 1
    assert "taken away" in caplog.text
    assert len(rows(tmp_path)) == 1


def test_a_log_of_a_newer_release_is_left_as_it_is(tmp_path: Path) -> None:
    append_some(tmp_path, "ann", 1)
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(UnavailableError, match="newer tumorseg"):
        AuditLog(tmp_path).record("ann", "annotator", "label.save")
    assert len(rows(tmp_path)) == 1


def test_two_logs_in_one_process_lose_nothing_to_another_process(tmp_path: Path) -> None:
    """Trap: closing a handle of the file drops the process's locks on it, and another one takes SQLite's log away."""
    first = AuditLog(tmp_path)
    first.record("ann", "annotator", "label.save", "case1")
    second = AuditLog(tmp_path)
    second.record("ann", "annotator", "label.save", "case2")
    for number in range(2):
        other = multiprocessing.get_context("spawn").Process(target=append_some, args=(tmp_path, "bob", 2))
        other.start()
        other.join(60)
        assert other.exitcode == 0
        assert first.head()[0] == 2 + 3 * number + 2
        assert second.record("ann", "annotator", "label.save", "case3").seq == 2 + 3 * number + 3
    first.close()
    second.close()
    assert [row["seq"] for row in rows(tmp_path)] == list(range(1, 9))
