"""What every final label cost, kept beside the labels: one row a version.

The rows are about the work and not the label: where one cannot be written the label is kept all the same, and an index
that had to be made anew (``tumorseg fsck --repair``) begins without them.
"""

from __future__ import annotations

import sqlite3
from dataclasses import astuple, dataclass, fields
from typing import TYPE_CHECKING, Literal

from tumorseg.labels.effort import Edit

if TYPE_CHECKING:
    from tumorseg.labels.database import Database

#: What the work began with: the ``answer`` of a model that this person was given, the ``original`` label of the image,
#: or ``none``: drawn from nothing. ``label``: the image had a final label by then, whatever else was there.
Began = Literal["answer", "original", "none", "label"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS efforts (
  uid TEXT PRIMARY KEY,
  image TEXT NOT NULL,
  author TEXT NOT NULL,
  saved REAL NOT NULL,
  seconds REAL,
  began TEXT NOT NULL,
  model TEXT NOT NULL,
  model_version TEXT NOT NULL,
  dice REAL,
  changed INTEGER,
  added INTEGER,
  removed INTEGER,
  final INTEGER,
  path INTEGER,
  ml REAL
) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Effort:
    """What one version of a label cost.

    Attributes:
        uid: of the label version.
        image: id of the image.
        author: who made it.
        saved: s since 1970.
        seconds: from the first look to the save; None where that is not known.
        began: see :data:`Began`.
        model: whose proposal it was, ``""`` where none.
        model_version: what that model said of itself.
        edit: what was changed; None without a proposal, or one that cannot be compared.
    """

    uid: str
    image: str
    author: str
    saved: float
    seconds: float | None = None
    began: Began = "none"
    model: str = ""
    model_version: str = ""
    edit: Edit | None = None


_OF_EDIT = tuple(column.name for column in fields(Edit))
_COLUMNS = tuple(column.name for column in fields(Effort) if column.name != "edit")


class Efforts:
    """The efforts in one database of labels.

    Args:
        database: of the label history.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        database.ensure("efforts", _SCHEMA)

    def add(self, effort: Effort) -> bool:
        """Keep what a version cost, once: the same label sent again says nothing new. Says whether it was kept."""
        edit = (None,) * len(_OF_EDIT) if effort.edit is None else astuple(effort.edit)
        said = [getattr(effort, name) for name in _COLUMNS]
        columns = ", ".join((*_COLUMNS, *_OF_EDIT))
        marks = ", ".join("?" * len((*_COLUMNS, *_OF_EDIT)))
        with self._database.transaction() as connection:
            sql = f"INSERT OR IGNORE INTO efforts ({columns}) VALUES ({marks})"
            return connection.execute(sql, (*said, *edit)).rowcount > 0

    def saved(self, image: str) -> dict[str, float]:
        """Return uid -> when it was saved, s since 1970, of the versions of an image whose effort is known."""
        rows = self._database.rows("SELECT uid, saved FROM efforts WHERE image = ?", image)
        return {row["uid"]: row["saved"] for row in rows}

    def stamp(self) -> tuple[int, float]:
        """Return what differs as soon as there is another effort."""
        rows = self._database.rows("SELECT COUNT(*), IFNULL(MAX(saved), 0) FROM efforts")
        return (int(rows[0][0]), float(rows[0][1])) if rows else (0, 0.0)

    def list(self) -> list[Effort]:
        """Return every effort, the oldest first."""
        return [_effort(row) for row in self._database.rows("SELECT * FROM efforts ORDER BY saved, uid")]


def _effort(row: sqlite3.Row) -> Effort:
    edit = None if row["dice"] is None else Edit(**{name: row[name] for name in _OF_EDIT})
    return Effort(**{name: row[name] for name in _COLUMNS}, edit=edit)
