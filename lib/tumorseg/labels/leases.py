"""Who works on which case, so that two annotators are not given the same one.

A lease keeps nobody from saving: labels of several annotators lie side by side. It ends by itself, so that a viewer
that was closed blocks no case for long. Times are wall times, since several processes compare them: a clock that is
set back is noticed at the next look, and every lease then lasts no longer than a new one would.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tumorseg.errors import ConflictError, InputError

if TYPE_CHECKING:
    from tumorseg.labels.database import Connection, Database

_MOST_BYTES = 256
_SCHEMA = """
CREATE TABLE IF NOT EXISTS leases (
  image TEXT PRIMARY KEY,
  holder TEXT NOT NULL,
  since REAL NOT NULL,
  until REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS leases_of_holder ON leases (holder);
"""


@dataclass(frozen=True)
class Lease:
    """A case that somebody works on.

    Attributes:
        image: id of the image.
        holder: who.
        since: when it was given or renewed, s since 1970.
        until: when it ends, s since 1970.
    """

    image: str
    holder: str
    since: float
    until: float

    @property
    def until_text(self) -> str:
        """When it ends, ISO 8601 in UTC."""
        return datetime.fromtimestamp(self.until, UTC).isoformat(timespec="seconds")


class Leases:
    """The leases in one database.

    Args:
        database: shared by all processes of a site.
        minutes: how long a lease lasts.
        clock: wall time, s since 1970.
    """

    def __init__(self, database: Database, minutes: float, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._length = minutes * 60
        self._clock = clock
        database.ensure("leases", _SCHEMA)

    def acquire(self, image: str, holder: str) -> Lease:
        """Give a case to somebody, or let them keep it for longer.

        Raises:
            ConflictError: somebody else works on it.
        """
        _check_name(holder)
        with self._database.transaction() as connection:
            self._look_at_the_clock(connection)
            found = self._held(connection, image)
            if found is not None and found.holder != holder:
                raise ConflictError(
                    f"{found.holder} works on {image!r} until {found.until_text}: take another one, or wait"
                )
            return self._give(connection, image, holder)

    def take(self, image: str, holder: str) -> Lease | None:
        """Give a case to somebody in the place of those that they had; None where somebody else works on it.

        Who asks for the next case is done with the one before or passes it over: it is free for others at once, and
        nobody gathers cases by asking often.
        """
        _check_name(holder)
        with self._database.transaction() as connection:
            self._look_at_the_clock(connection)
            found = self._held(connection, image)
            if found is not None and found.holder != holder:
                return None
            connection.execute("DELETE FROM leases WHERE holder = ? AND image <> ?", (holder, image))
            return self._give(connection, image, holder)

    def release(self, image: str, holder: str | None = None) -> bool:
        """End a lease; with ``holder`` only theirs. Says whether there was one."""
        if self.get(image) is None:  # most saves have none, and need not wait for a turn to write
            return False
        with self._database.transaction() as connection:
            sql = "DELETE FROM leases WHERE image = ?1 AND (?2 IS NULL OR holder = ?2)"
            return connection.execute(sql, (image, holder)).rowcount > 0

    def get(self, image: str) -> Lease | None:
        """Return who works on a case, None where nobody does."""
        return next(iter(self._current("SELECT * FROM leases WHERE image = ?", image)), None)

    def list(self) -> list[Lease]:
        """Return every lease, by image."""
        return list(self._current("SELECT * FROM leases ORDER BY image"))

    def held_by_others(self, holder: str) -> frozenset[str]:
        """Return the cases that somebody else works on."""
        return frozenset(lease.image for lease in self.list() if lease.holder != holder)

    def _current(self, sql: str, *values: str) -> Iterable[Lease]:
        """Read the leases that have not ended; one from the future of a clock that was set back is cut."""
        at = self._clock()
        for row in self._database.rows(sql, *values):
            lease = _lease(row)
            if lease.since > at:
                yield Lease(lease.image, lease.holder, at, at + self._length)
            elif lease.until > at:
                yield lease

    def _held(self, connection: Connection, image: str) -> Lease | None:
        row = connection.execute("SELECT * FROM leases WHERE image = ?", (image,)).fetchone()
        return None if row is None else _lease(row)

    def _give(self, connection: Connection, image: str, holder: str) -> Lease:
        at = self._clock()
        lease = Lease(image, holder, at, at + self._length)
        connection.execute("INSERT OR REPLACE INTO leases VALUES (?, ?, ?, ?)", (image, holder, at, lease.until))
        return lease

    def _look_at_the_clock(self, connection: Connection) -> None:
        """Forget leases that ended, and start those anew that were given in the future: the clock was set back."""
        at = self._clock()
        connection.execute("UPDATE leases SET since = ?1, until = ?2 WHERE since > ?1", (at, at + self._length))
        connection.execute("DELETE FROM leases WHERE until <= ?", (at,))


def _check_name(holder: str) -> None:
    try:
        fits = 0 < len(holder.encode()) <= _MOST_BYTES
    except UnicodeEncodeError:  # half a surrogate pair, which a client may send
        fits = False
    if not fits:
        raise InputError(f"expected a name of 1 to {_MOST_BYTES} bytes who works on it, got {holder!r:.40}")


def _lease(row: sqlite3.Row) -> Lease:
    return Lease(row["image"], row["holder"], row["since"], row["until"])
