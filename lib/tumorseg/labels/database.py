"""The SQLite file in which the history of labels is kept; other tables about labels live in it too.

Write-ahead log, ``synchronous=FULL`` (a commit is on the disk before it returns), one connection for each thread.
Several processes may write at once. Whoever uses it sees the file that is at the path *now*: one that was replaced
(a restored backup) is opened anew, one that is gone is an error until it is back, never a new empty index.

    database = Database(folder / "index.sqlite")
    database.ensure("reviews", "CREATE TABLE IF NOT EXISTS reviews (...);")
    with database.transaction() as connection:
        connection.execute("INSERT INTO reviews ...")
    rows = database.rows("SELECT ... WHERE image = ?", image)
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tumorseg.errors import StorageError
from tumorseg.labels.trouble import LABEL_INDEX, spoken

#: How long a writer waits for another process, s.
BUSY_S = 20.0


class Connection(sqlite3.Connection):
    """A connection that knows which file it has open, and which log beside it."""

    identity: tuple[int, int, int] = (0, 0, 0)
    log: tuple[int, int] | None = None
    read_only = False


class Database:
    """One SQLite file for the threads of this process.

    Args:
        path: where it is; made with its folder at the first write.
        migrations: scripts that bring an older file up to date; ``PRAGMA user_version`` counts those that ran.
        may_create: called before a new file is made; raises where that would hide a loss.
        what: what the file is, for messages.
    """

    def __init__(
        self,
        path: Path,
        migrations: Sequence[str] = (),
        may_create: Callable[[], None] = lambda: None,
        what: str = LABEL_INDEX,
    ) -> None:
        self.path, self.what = path, what
        self._migrations = tuple(migrations)
        self._may_create = may_create
        self._schemas: dict[str, str] = {}
        self._local = threading.local()
        self._opened: weakref.WeakSet[Connection] = weakref.WeakSet()
        self._seen = False
        self._writing = threading.Lock()

    def ensure(self, name: str, schema: str) -> None:
        """Add tables of one's own, now and to every file that takes this one's place.

        Args:
            name: whose tables they are.
            schema: statements that do nothing where they ran before (``CREATE TABLE IF NOT EXISTS``).
        """
        self._schemas[name] = schema
        for connection in list(self._opened):
            connection.identity = (0, 0, 0)  # opened anew, with the tables, by the thread that uses it

    def is_there(self) -> bool:
        """Tell whether there is a file; StorageError where there was one and it is gone."""
        if self.path.exists():
            return True
        if self._seen:
            raise self._gone()
        return False

    def rows(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        """Read; nothing where there is no file yet."""
        if not self.is_there():
            return []
        with self.reading() as connection:
            try:
                return connection.execute(sql, values).fetchall()
            except sqlite3.OperationalError as error:
                # Tables added since (see ensure) cannot be made on a read-only disk: nothing is in them.
                if connection.read_only and "no such table" in str(error):
                    return []
                raise

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give this thread's connection for reading; there must be a file."""
        with self._dropped_when_broken(), spoken(self.path, self.what):
            yield self._connection()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Write: what happens within is seen whole or not at all. One within another is part of it.

        Raises:
            StorageError: it could not be kept; nothing of it was.
        """
        with self._dropped_when_broken(), spoken(self.path, self.what):
            connection = self._connection()
            if connection.in_transaction:
                yield connection
                return
            if connection.read_only:
                raise StorageError(f"the {self.what} {self.path} is on a read-only disk: nothing can be saved")
            file = connection.identity
            # A lock of this process first: threads then take turns instead of polling for SQLite's.
            with self._writing:
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                    connection.execute("COMMIT")
                except BaseException:
                    with suppress(sqlite3.Error):
                        connection.execute("ROLLBACK")
                    raise
            if self._identity() != file:
                raise StorageError(f"the {self.what} {self.path} was replaced at this moment: send it again")

    def close(self) -> None:
        """Close every connection; using the database again opens new ones."""
        for connection in list(self._opened):
            connection.close()
        self._opened.clear()
        self._local = threading.local()

    def _connection(self) -> Connection:
        """Return this thread's connection to the file that is there now."""
        known: Connection | None = getattr(self._local, "connection", None)
        if known is not None:
            now = (0, 0, 0) if known.in_transaction else self._identity()
            # One of a read-only disk is not used again: it sees no change, and the disk may be writable by now.
            if known.in_transaction or (known.identity == now and not known.read_only):
                return known
            self._refuse_a_log_of_before(known, now)
            known.close()
        self._local.connection = None
        if not self.is_there():
            self._may_create()
            self.path.parent.mkdir(parents=True, exist_ok=True)
        self._local.connection = self._open()
        return self._local.connection  # type: ignore[no-any-return]

    def _open(self) -> Connection:
        writable = "mode=rw" if self._seen else "mode=rwc"
        try:
            connection = self._connect(writable)
            self._prepare(connection)
            # SQLite opens a file of a read-only disk for reading without a word, and would refuse to write for as long
            # as the connection lives, also when the disk is writable again.
            connection.read_only = not os.access(self.path, os.W_OK)
        except sqlite3.OperationalError:
            if not self._can_be_read_as_it_is():
                raise
            connection = self._connect("immutable=1")
            connection.read_only = True
        connection.identity, connection.log = self._identity(), self._log()
        self._seen = True
        self._opened.add(connection)
        return connection

    def _connect(self, mode: str) -> Connection:
        connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?{mode}",
            uri=True,
            timeout=BUSY_S,
            isolation_level=None,
            check_same_thread=False,
            factory=Connection,
        )
        connection.row_factory = sqlite3.Row
        return connection

    def _can_be_read_as_it_is(self) -> bool:
        """Whether the disk is read-only and the file complete: SQLite then needs no file beside it."""
        log = self.path.with_name(f"{self.path.name}-wal")
        complete = not log.exists() or log.stat().st_size == 0
        return self.path.exists() and complete and not os.access(self.path.parent, os.W_OK)

    def _prepare(self, connection: Connection) -> None:
        """Set up a connection, and the file where it is new or older."""
        _set_log(connection)
        connection.execute("PRAGMA synchronous = FULL")
        done = connection.execute("PRAGMA user_version").fetchone()[0]
        if done > len(self._migrations):
            raise StorageError(f"the {self.what} {self.path} was made by a newer tumorseg: upgrade this one")
        if done < len(self._migrations) or not self._has_schemas(connection):
            connection.execute("BEGIN IMMEDIATE")
            try:
                self._migrate(connection)
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise

    def _has_schemas(self, connection: Connection) -> bool:
        if not self._schemas:
            return True
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'schemas'").fetchone():
            return False
        known = {row["name"]: row["script"] for row in connection.execute("SELECT name, script FROM schemas")}
        return all(known.get(name) == script for name, script in self._schemas.items())

    def _migrate(self, connection: Connection) -> None:
        # Asked again: another process may have been first.
        done = connection.execute("PRAGMA user_version").fetchone()[0]
        for number, script in enumerate(self._migrations[done:], done + 1):
            _run(connection, script)
            connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("CREATE TABLE IF NOT EXISTS schemas (name TEXT PRIMARY KEY, script TEXT NOT NULL)")
        for name, script in self._schemas.items():
            _run(connection, script)
            connection.execute("INSERT OR REPLACE INTO schemas VALUES (?, ?)", (name, script))

    def _identity(self) -> tuple[int, int, int]:
        """Tell which file is at the path, and for which process it is open."""
        try:
            state = self.path.stat()
        except FileNotFoundError:
            raise self._gone() from None
        return state.st_dev, state.st_ino, os.getpid()

    def _log(self) -> tuple[int, int] | None:
        """Tell which write-ahead log lies beside the file."""
        try:
            state = self.path.with_name(f"{self.path.name}-wal").stat()
        except FileNotFoundError:
            return None
        return state.st_dev, state.st_ino

    def _refuse_a_log_of_before(self, known: Connection, now: tuple[int, int, int]) -> None:
        """Stop where a file was put over the index and the old one's log stayed: SQLite would mix the two."""
        is_other = known.identity[:2] not in ((0, 0), now[:2])
        if is_other and known.log is not None and self._log() == known.log:
            raise StorageError(
                f"the {self.what} {self.path} was replaced while its log of before still lies beside it: remove "
                f"{self.path.name}-wal and {self.path.name}-shm; tumorseg backup --restore replaces an index safely"
            )

    def _gone(self) -> StorageError:
        try:
            self._may_create()  # knows whether the labels themselves are there
        except StorageError as error:
            return error
        return StorageError(
            f"the {self.what} {self.path} was there and is gone: put its folder back or restore a backup"
        )

    @contextmanager
    def _dropped_when_broken(self) -> Iterator[None]:
        """Forget this thread's connection after an error of the disk, so that a mended file is opened anew."""
        try:
            yield
        except StorageError as error:
            known: Connection | None = getattr(self._local, "connection", None)
            is_of_the_disk = isinstance(error.__cause__, sqlite3.Error | OSError)
            if is_of_the_disk and known is not None and not known.in_transaction:
                self._local.connection = None
                with suppress(sqlite3.Error):
                    known.close()
            raise


def _set_log(connection: Connection) -> None:
    """Switch the write-ahead log on; while another process does the same, SQLite refuses instead of waiting."""
    end = time.monotonic() + BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
        time.sleep(0.01)


def _run(connection: Connection, script: str) -> None:
    """Run the statements of a script within the transaction (``executescript`` would commit it)."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""
