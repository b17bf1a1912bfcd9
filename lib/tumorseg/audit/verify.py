"""Whether the audit log is as it was written: every record follows from the one before."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tumorseg.audit.database import FILE_NAME, connect
from tumorseg.audit.record import COLUMNS, AuditRecord
from tumorseg.errors import InputError, NotFoundError


@dataclass(frozen=True)
class Verdict:
    """What a check found.

    Attributes:
        records: how many records were looked at.
        first: number of the first one; earlier ones were exported and removed where it is not 1.
        last: number of the newest one.
        digest: its digest, to be kept elsewhere.
        broken: number of the first record that does not follow, None where all do.
        why: what is wrong there.
    """

    records: int
    first: int
    last: int
    digest: str
    broken: int | None = None
    why: str = ""


def verify(folder: Path, expected: tuple[int, str] | None = None) -> Verdict:
    """Check the log of a folder.

    Args:
        folder: where the log lies.
        expected: number and digest of a record as they were noted elsewhere earlier; without them nobody can tell
            whether the newest records were cut off, or all were written anew by somebody who may write the file.
    """
    with closing(opened(folder)) as connection:
        seq, digest = connection.execute("SELECT seq, digest FROM beginning").fetchone()
        rows = connection.execute(f"SELECT {', '.join(COLUMNS)} FROM record ORDER BY seq")
        return _followed(map(record_of, rows), int(seq), str(digest), expected)


def _followed(records: Iterable[AuditRecord], seq: int, digest: str, expected: tuple[int, str] | None) -> Verdict:
    """Go from record to record."""
    first, count, met = seq + 1, 0, expected is None or expected == (seq, digest)
    for record in records:
        if record.seq != seq + 1:
            why = f"record {seq + 1} is missing: the next one is {record.seq}"
            return Verdict(count, first, seq, digest, seq + 1, why)
        if record.digest != record.chained(digest):
            why = f"record {record.seq} is not what was written, or the one before it is not"
            return Verdict(count, first, seq, digest, record.seq, why)
        seq, digest, count = record.seq, record.digest, count + 1
        if expected is not None and expected[0] == seq:
            met = expected[1] == digest
            if not met:
                return Verdict(count, first, seq, digest, seq, f"record {seq} has another digest than was expected")
    if not met and expected is not None:
        why = f"record {expected[0]} is not there: records were cut off, or it was exported and removed"
        return Verdict(count, first, seq, digest, expected[0], why)
    return Verdict(count, first, seq, digest)


def opened(folder: Path) -> sqlite3.Connection:
    """Open a log that is there, for reading."""
    if not (folder / FILE_NAME).is_file():
        raise NotFoundError(f"there is no audit log in {folder}: pass the state folder of the server with --state")
    connection = connect(folder)
    connection.execute("PRAGMA query_only = ON")
    return connection


def record_of(row: tuple[Any, ...]) -> AuditRecord:
    """Read one row of the table."""
    values = dict(zip(COLUMNS, row, strict=True))
    try:
        values["detail"] = json.loads(values["detail"])
    except ValueError:
        values["detail"] = {"damaged": str(values["detail"])}
    return AuditRecord(**values)


def parse_head(text: str) -> tuple[int, str]:
    """Read ``number:digest`` as ``audit verify`` prints it."""
    number, _, digest = text.partition(":")
    if not number.isdigit() or len(digest) != 64:
        raise InputError(f"expected NUMBER:DIGEST as `tumorseg audit verify` prints it, got {text!r}")
    return int(number), digest
