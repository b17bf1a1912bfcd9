"""How many labels came since a model last learned: counted in the index of labels, so that a restart forgets nothing.

An image counts once, however often it was saved, and only where its newest final label has a content that no final
label of it had before: a note on an old label is no news. Nor is an image of which all that was saved is rejected.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tumorseg.adapters.datastore import FINAL
from tumorseg.labels.rejected import REJECTED
from tumorseg.labels.reviews import Reviews

if TYPE_CHECKING:
    import sqlite3

    from tumorseg.labels.database import Database

_SCHEMA = """
CREATE TABLE IF NOT EXISTS learned (
  model TEXT PRIMARY KEY,
  seq INTEGER NOT NULL
) WITHOUT ROWID;
"""
_NEWEST = "SELECT IFNULL(MAX(seq), 0) AS seq FROM versions"
_LEARNED = "SELECT seq FROM learned WHERE model = ?"
_COUNT = f"""
SELECT COUNT(*) AS count FROM heads h JOIN versions v USING (seq)
WHERE h.tag = ?1 AND h.kind <> 'removed' AND h.seq > ?2 AND h.image NOT IN ({REJECTED}) AND NOT EXISTS (
  SELECT 1 FROM versions old
  WHERE old.image = v.image AND old.tag = ?1 AND old.seq <= ?2 AND old.sha256 = v.sha256
)
"""


class NewLabels:
    """The labels of one index, and up to which each model learned from them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.ensure("learned", _SCHEMA)
        Reviews(database)  # its table is asked

    def newest(self) -> int:
        """Return the place of the newest version of any label, which grows with every one; 0 where there is none."""
        rows = self._database.rows(_NEWEST)
        return int(rows[0]["seq"]) if rows else 0

    def learned(self, model: str) -> int:
        """Return up to which version a model has learned from the labels; 0 where it never did."""
        rows = self._database.rows(_LEARNED, model)
        return int(rows[0]["seq"]) if rows else 0

    def count(self, model: str) -> int:
        """Return how many images have a final label that is newer than the last training of a model."""
        found = self._database.rows(_COUNT, FINAL, self.learned(model))
        return int(found[0]["count"]) if found else 0

    def claim(self, model: str, needed: int) -> int | None:
        """Take the new labels for one training where there are enough: of several servers one gets them.

        Returns:
            Up to where the model had learned before, for :meth:`give_back`; None where there are not enough.
        """
        if self.count(model) < needed:  # without a lock: so it is after nearly every label
            return None
        with self._database.transaction() as connection:
            since = _since(connection, model)
            count = connection.execute(_COUNT, (FINAL, since)).fetchone()["count"]
            if count < needed:
                return None
            _learned(connection, model, connection.execute(_NEWEST).fetchone()["seq"])
        return since

    def give_back(self, model: str, since: int) -> None:
        """Count the labels of a claim again: no training came of it."""
        if self.learned(model) <= since:
            return
        with self._database.transaction() as connection:
            _learned(connection, model, min(since, _since(connection, model)))

    def take_all(self, model: str) -> None:
        """Count from here on: somebody had the model trained on what there is."""
        with self._database.transaction() as connection:
            _learned(connection, model, connection.execute(_NEWEST).fetchone()["seq"])


def _since(connection: sqlite3.Connection, model: str) -> int:
    row = connection.execute(_LEARNED, (model,)).fetchone()
    return int(row["seq"]) if row else 0


def _learned(connection: sqlite3.Connection, model: str, seq: int) -> None:
    connection.execute("INSERT OR REPLACE INTO learned VALUES (?, ?)", (model, seq))
