"""Taking old records out of the audit log: into a file of JSON lines, then out of the database.

This is the one place where records leave. What leaves is in the file with its digests, the log remembers the digest
of the last one that left, so that the rest still follows from it, and a record says who did it.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from tumorseg.audit.database import FORBID_DELETE, connect
from tumorseg.audit.log import AuditLog, Event
from tumorseg.audit.record import COLUMNS
from tumorseg.audit.verify import opened, record_of, verify
from tumorseg.errors import InputError


def export(folder: Path, until: str, file: Path) -> tuple[int, int]:
    """Write the records before a time to a file that does not exist yet; return number of records and the last one.

    A clock may have gone backwards: what leaves is always a beginning of the log, up to the first record that is
    not before ``until``.

    Raises:
        InputError: the log is damaged (see ``tumorseg audit verify``), or there is nothing before that time.
    """
    verdict = verify(folder)
    if verdict.broken is not None:
        raise InputError(f"the audit log is damaged and is left as it is: {verdict.why}")
    with closing(opened(folder)) as connection:
        last = _last_before(connection, until)
        if last is None:
            raise InputError(f"expected records before {until}, found none")
        rows = connection.execute(f"SELECT {', '.join(COLUMNS)} FROM record WHERE seq <= ? ORDER BY seq", (last,))
        count = _write(file, (json.dumps(record_of(row).as_json(), sort_keys=True) for row in rows))
    return count, last


def remove(folder: Path, last: int, who: str) -> None:
    """Remove the records up to number ``last``, which were exported, and record that."""
    log = AuditLog(folder)
    removed = {"up_to": last}
    with closing(connect(folder)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            digest = connection.execute("SELECT digest FROM record WHERE seq = ?", (last,)).fetchone()
            if digest is None:
                raise InputError(f"there is no record {last} in the audit log")
            connection.execute("UPDATE beginning SET seq = ?, digest = ?", (last, digest[0]))
            connection.execute("DROP TRIGGER no_delete")
            connection.execute("DELETE FROM record WHERE seq <= ?", (last,))
            connection.execute(FORBID_DELETE)
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
    log.append([Event(who, "admin", "audit.remove", how="cli", status=200, detail=removed)])
    log.close()


def _last_before(connection: sqlite3.Connection, until: str) -> int | None:
    """Return the number of the last record of the beginning that lies before a time."""
    after = connection.execute("SELECT min(seq) FROM record WHERE time >= ?", (until,)).fetchone()[0]
    if after is None:
        after = connection.execute("SELECT max(seq) + 1 FROM record").fetchone()[0]
    first = connection.execute("SELECT min(seq) FROM record").fetchone()[0]
    return None if first is None or after <= first else int(after) - 1


def _write(file: Path, lines: Iterable[str]) -> int:
    """Write lines to a new file that is on the disk when this returns."""
    count = 0
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise InputError(f"{file} exists already: choose a new name") from None
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        for line in lines:
            stream.write(f"{line}\n")
            count += 1
        stream.flush()
        os.fsync(stream.fileno())
    return count
