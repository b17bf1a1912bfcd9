"""The file that holds users, tokens and sign-ins: SQLite, read by its owner only.

Each thread has a connection of its own. Several processes may use the file at once: a server reads it at every
request, so that what ``tumorseg user`` changes counts at once.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tumorseg.errors import UnavailableError

FILE = "access.sqlite"
_VERSION = 1
#: Readers never wait for writers (WAL); this is how long a writer waits for another one.
_WAIT_S = 5.0
#: No thread of this process connects while another one makes the file.
_MAKING = threading.Lock()
_SCHEMA = """
CREATE TABLE IF NOT EXISTS users (
  name TEXT PRIMARY KEY COLLATE NOCASE,
  role TEXT NOT NULL,
  active INTEGER NOT NULL DEFAULT 1,
  password TEXT,
  created INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS tokens (
  id INTEGER PRIMARY KEY,
  user TEXT NOT NULL COLLATE NOCASE REFERENCES users(name) ON DELETE CASCADE,
  prefix TEXT NOT NULL UNIQUE,
  digest BLOB NOT NULL,
  created INTEGER NOT NULL,
  expires INTEGER,
  used INTEGER
);
CREATE TABLE IF NOT EXISTS sign_ins (
  digest BLOB PRIMARY KEY,
  user TEXT COLLATE NOCASE REFERENCES users(name) ON DELETE CASCADE,
  token INTEGER REFERENCES tokens(id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  role TEXT,
  expires INTEGER NOT NULL
);
"""


class Database:
    """The file in a server's folder of state; it is made when something is first kept in it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._local = threading.local()

    @property
    def exists(self) -> bool:
        """Whether anything was ever kept."""
        return self.path.exists()

    def read(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        """Return the rows of a query; none where there is no file yet.

        Raises:
            UnavailableError: the file cannot be read. Nobody is let in on that.
        """
        if not self.exists:
            return []
        with self._explained("read"):
            return self._connection().execute(sql, values).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Change something, all or nothing.

        Raises:
            UnavailableError: the file cannot be written.
        """
        with self._explained("written"):
            connection = self._connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                raise

    def _connection(self) -> sqlite3.Connection:
        """Return this thread's connection; one to a file that was replaced since is opened anew."""
        found: tuple[int, sqlite3.Connection] | None = getattr(self._local, "found", None)
        if found and self.exists and found[0] == self.path.stat().st_ino:
            return found[1]
        with _MAKING:
            self._make_private()
            connection = sqlite3.connect(self.path, timeout=_WAIT_S, isolation_level=None)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA foreign_keys = ON")
        made_by = connection.execute("PRAGMA user_version").fetchone()[0]
        if made_by > _VERSION:
            connection.close()
            raise UnavailableError(f"the file of users {self.path} was made by a newer tumorseg: upgrade this one")
        if made_by != _VERSION:
            connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT;")
        self._local.found = (self.path.stat().st_ino, connection)
        return connection

    def _make_private(self) -> None:
        """Have folder and file, for their owner only; SQLite gives its other files the same mode.

        A file that is there is never opened but by SQLite: closing any handle of a file drops all locks that the
        process has on it, and another process would then take the log away in which this one still reads.
        """
        if not self.path.parent.is_dir():
            self.path.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
        try:
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except FileExistsError:
            if self.path.stat().st_mode & 0o077:
                self.path.chmod(0o600)

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.DatabaseError, OSError) as error:
            if isinstance(error, sqlite3.IntegrityError):
                raise
            raise UnavailableError(f"the file of users {self.path} cannot be {what}: {error}") from error
