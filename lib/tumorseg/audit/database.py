"""The file of the audit log: SQLite, append-only.

Why SQLite and not lines of text: several processes append (servers, command lines), and a transaction gives each
record its number and its predecessor's digest with no lock file of ours; half a line after a crash cannot be; records
are found by person and image without reading all. Triggers refuse UPDATE, DELETE and a number out of turn, so that no
mistake of ours and no other program can change a record in passing. Against somebody who opens the file to cheat the
digests help (:mod:`tumorseg.audit.verify`), where the newest one is also kept elsewhere.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path

from tumorseg.audit.record import COLUMNS, GENESIS
from tumorseg.errors import UnavailableError

FILE_NAME = "audit.sqlite"
BUSY_S = 10.0
#: Of the tables below; raised with them, and a file of an older one is then brought up to date.
VERSION = 1
FORBID_DELETE = """
CREATE TRIGGER IF NOT EXISTS no_delete BEFORE DELETE ON record
  BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
"""
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS record (
  seq INTEGER PRIMARY KEY, time TEXT NOT NULL, who TEXT NOT NULL, role TEXT NOT NULL, how TEXT NOT NULL,
  action TEXT NOT NULL, image TEXT NOT NULL, study TEXT NOT NULL, label TEXT NOT NULL, status INTEGER NOT NULL,
  phase TEXT NOT NULL, request TEXT NOT NULL, address TEXT NOT NULL, detail TEXT NOT NULL, digest TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS beginning (
  one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, digest TEXT NOT NULL
);
INSERT OR IGNORE INTO beginning VALUES (1, 0, '{GENESIS}');
CREATE INDEX IF NOT EXISTS record_time ON record (time);
CREATE INDEX IF NOT EXISTS record_image ON record (image);
CREATE INDEX IF NOT EXISTS record_who ON record (who);
CREATE TRIGGER IF NOT EXISTS no_update BEFORE UPDATE ON record
  BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER IF NOT EXISTS in_turn BEFORE INSERT ON record
  WHEN NEW.seq <> 1 + max(coalesce((SELECT max(seq) FROM record), 0), (SELECT seq FROM beginning))
  BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
{FORBID_DELETE}
"""
INSERT = f"INSERT INTO record ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"


def folder_in(state: Path) -> Path:
    """Return where the log lies within a server's state folder."""
    return state / "audit"


def connect(folder: Path) -> sqlite3.Connection:
    """Open the log of a folder, making it where there is none; readable by its owner alone.

    A transaction is on the disk when it is committed (``synchronous = FULL``).

    Raises:
        UnavailableError: a newer release made the file.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / FILE_NAME
    # A file that is there is opened by SQLite alone: closing a handle of it drops the locks of the whole process on it.
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))  # its -wal and -shm take over the mode
    connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        made_by = connection.execute("PRAGMA user_version").fetchone()[0]
        if made_by > VERSION:
            raise UnavailableError(f"the audit log {path} was made by a newer tumorseg: upgrade this one")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        if made_by < VERSION:
            connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")
    except BaseException:
        connection.close()
        raise
    return connection


def newest(connection: sqlite3.Connection) -> tuple[int, str]:
    """Return number and digest of the newest record, or of what was before the first one kept."""
    row = connection.execute("SELECT seq, digest FROM record ORDER BY seq DESC LIMIT 1").fetchone()
    row = row or connection.execute("SELECT seq, digest FROM beginning").fetchone()
    return int(row[0]), str(row[1])


def identity(folder: Path) -> tuple[int, int] | None:
    """Return what tells the log's file from another of the same name, None where there is none."""
    try:
        state = (folder / FILE_NAME).stat()
    except OSError:
        return None
    return state.st_dev, state.st_ino
