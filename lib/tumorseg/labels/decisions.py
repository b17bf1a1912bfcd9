"""What people decided about objects that a model found: kept or dropped, one row a decision, never changed.

A decision that is taken back is followed by a row that says so: who decided what and when stays known. Beside the
labels, as what belongs to them; an index that had to be made anew (``tumorseg fsck --repair``) has those of them that
could be read of the old one, and what was saved as a label has its own copy of those that were dropped.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any

from tumorseg.errors import ConflictError
from tumorseg.labels.records import now

if TYPE_CHECKING:
    from tumorseg.labels.database import Database

_SCHEMA = """
CREATE TABLE IF NOT EXISTS decisions (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  holder TEXT NOT NULL,
  image TEXT NOT NULL,
  model TEXT NOT NULL,
  version TEXT NOT NULL,
  instance TEXT NOT NULL,
  verdict TEXT NOT NULL CHECK (verdict IN ('keep', 'drop', 'undo')),
  place TEXT NOT NULL,
  options TEXT NOT NULL,
  created TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS decisions_of_holder ON decisions (image, model, holder, id);
CREATE TRIGGER IF NOT EXISTS decisions_stay BEFORE UPDATE ON decisions
BEGIN SELECT RAISE(ABORT, 'decisions are never changed'); END;
CREATE TRIGGER IF NOT EXISTS decisions_are_kept BEFORE DELETE ON decisions
BEGIN SELECT RAISE(ABORT, 'decisions are never deleted'); END;
"""
_OF = "SELECT * FROM decisions WHERE holder = ? AND image = ? AND model = ? AND version = ? ORDER BY id"
_UNDO = "undo"


@dataclass(frozen=True)
class About:
    """Whose decisions, and about what.

    Attributes:
        holder: who decides, under the name that cases are theirs.
        image: id of the image.
        model: name of the model that found the objects.
        version: of its weights.
    """

    holder: str
    image: str
    model: str
    version: str


@dataclass(frozen=True)
class Decision:
    """One decision.

    Attributes:
        instance: by what the object is known (:func:`tumorseg.interactive.instances.instance_id`).
        verdict: ``keep`` or ``drop``.
        at: voxel index ``(i, j, k)`` that was clicked.
        options: thresholds with which the object was found.
        created: when, ISO 8601 in UTC.
    """

    instance: str
    verdict: str
    at: tuple[int, int, int]
    options: Mapping[str, Any]
    created: str


class Decisions:
    """The decisions in one database of labels."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.ensure("decisions", _SCHEMA)

    def add(
        self, about: About, instance: str, verdict: str, at: tuple[int, int, int], options: Mapping[str, Any]
    ) -> Decision:
        """Keep a decision; the same one that is in effect already is kept once, so that one undo takes it back."""
        made = Decision(instance, verdict, at, options, now())
        with self._database.transaction() as connection:
            last = _latest(_in_effect(_rows(connection, about))).get(instance)
            if last is not None and last.verdict == verdict:
                return last
            _insert(connection, about, made)
        return made

    def undo(self, about: About) -> Decision:
        """Take the last decision back and return it.

        Raises:
            ConflictError: there is none.
        """
        with self._database.transaction() as connection:
            standing = _in_effect(_rows(connection, about))
            if not standing:
                raise ConflictError(
                    f"there is nothing to undo: nothing was decided about what {about.model} found here"
                )
            last = standing[-1]
            _insert(connection, about, Decision(last.instance, _UNDO, last.at, {}, now()))
        return last

    def of(self, about: About) -> dict[str, Decision]:
        """Return object -> the decision about it that is in effect, the earliest first."""
        return _latest(_in_effect(self._database.rows(_OF, *astuple(about))))

    def versions(self, holder: str, image: str, model: str) -> dict[str, int]:
        """Return version of the model -> how many objects somebody decided about."""
        sql = "SELECT DISTINCT version FROM decisions WHERE holder = ? AND image = ? AND model = ? ORDER BY version"
        found = [row["version"] for row in self._database.rows(sql, holder, image, model)]
        return {version: len(self.of(About(holder, image, model, version))) for version in found}


def _rows(connection: sqlite3.Connection, about: About) -> list[sqlite3.Row]:
    return connection.execute(_OF, astuple(about)).fetchall()


def _insert(connection: sqlite3.Connection, about: About, made: Decision) -> None:
    place, options = json.dumps(made.at), json.dumps(dict(made.options), sort_keys=True)
    values = (*astuple(about), made.instance, made.verdict, place, options, made.created)
    sql = "INSERT INTO decisions (holder, image, model, version, instance, verdict, place, options, created)"
    connection.execute(f"{sql} VALUES ({', '.join('?' * 9)})", values)


def _in_effect(rows: list[sqlite3.Row]) -> list[Decision]:
    """Return what was decided and not taken back, in order."""
    standing: list[Decision] = []
    for row in rows:
        if row["verdict"] == _UNDO:
            del standing[-1:]
            continue
        i, j, k = json.loads(row["place"])
        options = json.loads(row["options"])
        standing.append(Decision(row["instance"], row["verdict"], (i, j, k), options, row["created"]))
    return standing


def _latest(standing: list[Decision]) -> dict[str, Decision]:
    return {decision.instance: decision for decision in standing}
