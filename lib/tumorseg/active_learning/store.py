"""What models said of images, kept: one row for each model and image, for all processes that share a state folder.

A row says which version of the model looked and how the image's files looked then. It is *fresh* while both are as they
were; a row that is not is never used, and the next scoring replaces it. Everything here can be computed again, so a
file that is lost or damaged is made anew, and the log says so.
"""

from __future__ import annotations

import json
import logging
import math
import secrets
import sqlite3
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from tumorseg.active_learning.types import EMBEDDING
from tumorseg.errors import StorageError
from tumorseg.labels.database import Connection, Database
from tumorseg.labels.trouble import spoken

if TYPE_CHECKING:
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)
T = TypeVar("T")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS scores (
  model TEXT NOT NULL,
  image TEXT NOT NULL,
  version TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  columns TEXT NOT NULL,
  embedding BLOB,
  scored REAL NOT NULL,
  PRIMARY KEY (model, image)
);
CREATE TABLE IF NOT EXISTS stamps (model TEXT PRIMARY KEY, stamp TEXT NOT NULL) WITHOUT ROWID;
"""
_WHAT = "score store"
_AGAIN = "it is made anew, and all scores are computed again"
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


@dataclass(frozen=True, eq=False)
class Row:
    """What one version of a model said of one image.

    Attributes:
        fingerprint: how the image's files looked.
        columns: score by name; NaN where the model was asked and has none.
        embedding: ``(D,)`` vector, None where nobody asked for it.
    """

    fingerprint: str
    columns: Mapping[str, float]
    embedding: NDArray[np.float32] | None

    def has(self, columns: Collection[str]) -> bool:
        """Whether all of these were asked for; :data:`tumorseg.active_learning.types.EMBEDDING` is one."""
        return all(name in self.columns or (name == EMBEDDING and self.embedding is not None) for name in columns)


class ScoreStore:
    """The scores of one state folder; safe to use from several threads and processes.

    Args:
        path: the SQLite file; made at the first write.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._database = self._opened()

    def put(
        self,
        model: str,
        version: str,
        image: str,
        fingerprint: str,
        columns: Mapping[str, float],
        embedding: NDArray[np.float32] | None,
    ) -> None:
        """Keep what was computed; columns of the same version and image that are there already stay.

        Raises:
            StorageError: it could not be kept.
        """
        vector = None if embedding is None else np.ascontiguousarray(embedding, "<f4").tobytes()

        def write(database: Database) -> None:
            with spoken(self.path, _WHAT):
                self.path.parent.mkdir(parents=True, mode=0o700, exist_ok=True)  # ids of images may name patients
            with database.transaction() as connection:
                kept, blob = _same(connection, model, version, image, fingerprint)
                text = json.dumps({**kept, **{name: _as_json(value) for name, value in columns.items()}})
                values = (model, image, version, fingerprint, text, blob if vector is None else vector, time.time())
                connection.execute("INSERT OR REPLACE INTO scores VALUES (?, ?, ?, ?, ?, ?, ?)", values)
                connection.execute("INSERT OR REPLACE INTO stamps VALUES (?, ?)", (model, secrets.token_hex(8)))

        self._mended(write)

    def known(self, model: str, version: str) -> dict[str, Row]:
        """Return image -> row, of this version of the model; whether the image is as it was is for the caller to see.

        Raises:
            StorageError: they cannot be read.
        """
        sql = "SELECT image, fingerprint, columns, embedding FROM scores WHERE model = ? AND version = ?"
        rows = self._mended(lambda database: database.rows(sql, model, version))
        return {row["image"]: _row(row) for row in rows}

    def missing(self, model: str, version: str, images: Mapping[str, str], columns: Collection[str]) -> list[str]:
        """Return the images without a fresh row that has all of ``columns``, in their order.

        Args:
            model: registry name.
            version: of its weights.
            images: image -> how its files look now.
            columns: names of scores, perhaps :data:`tumorseg.active_learning.types.EMBEDDING`.
        """
        known = self.known(model, version)
        return [
            image
            for image, state in images.items()
            if (row := known.get(image)) is None or row.fingerprint != state or not row.has(columns)
        ]

    def progress(
        self, model: str, version: str, images: Mapping[str, str], columns: Collection[str] = ()
    ) -> tuple[int, int]:
        """Return of how many images there is a fresh row (with ``columns``), and how many there are."""
        return len(images) - len(self.missing(model, version, images, columns)), len(images)

    def stamp(self, model: str) -> str:
        """Return what differs after every write about a model, by whatever process; cheap."""
        rows = self._mended(lambda database: database.rows("SELECT stamp FROM stamps WHERE model = ?", model))
        return str(rows[0]["stamp"]) if rows else ""

    def close(self) -> None:
        """Close every connection; using the store again opens new ones."""
        self._database.close()

    def _opened(self) -> Database:
        database = Database(self.path, what=_WHAT)
        database.ensure("scores", _SCHEMA)
        return database

    def _mended(self, work: Callable[[Database], T]) -> T:
        """Do it; where the file turns out to be lost or damaged, make it anew and do it again."""
        try:
            return work(self._database)
        except StorageError as error:
            if not (self._is_lost(error) or _is_damage(error)):
                raise
            if self._is_lost(error):
                logger.warning("the score store %s is gone: %s", self.path, _AGAIN)
        self._start_again()
        try:
            return work(self._database)
        except StorageError as error:
            if not _is_damage(error):
                raise
        # Only now: another process may have made it anew between the two tries.
        logger.warning("the score store %s is damaged: %s", self.path, _AGAIN)
        with spoken(self.path, _WHAT):
            for ending in ("-wal", "-shm", ""):
                self.path.with_name(self.path.name + ending).unlink(missing_ok=True)
        self._start_again()
        return work(self._database)

    def _is_lost(self, error: StorageError) -> bool:
        """Whether it was there and is gone; where it cannot be opened there is a cause."""
        return error.__cause__ is None and not self.path.exists()

    def _start_again(self) -> None:
        self._database.close()
        self._database = self._opened()


def _is_damage(error: StorageError) -> bool:
    code = getattr(error.__cause__, "sqlite_errorcode", None)
    return isinstance(code, int) and code & 0xFF in _DAMAGED


def _same(
    connection: Connection, model: str, version: str, image: str, fingerprint: str
) -> tuple[dict[str, float | None], bytes | None]:
    """Return columns and vector that the same version said of the same image."""
    sql = "SELECT columns, embedding FROM scores WHERE model = ? AND image = ? AND version = ? AND fingerprint = ?"
    row = connection.execute(sql, (model, image, version, fingerprint)).fetchone()
    return ({}, None) if row is None else (json.loads(row["columns"]), row["embedding"])


def _as_json(value: float) -> float | None:
    """Return a number that JSON has; None for NaN and infinity."""
    return float(value) if math.isfinite(value) else None


def _row(row: sqlite3.Row) -> Row:
    columns = {name: math.nan if value is None else value for name, value in json.loads(row["columns"]).items()}
    blob = row["embedding"]
    return Row(row["fingerprint"], columns, None if blob is None else np.frombuffer(blob, "<f4"))
