"""What reviewers say of versions: approved, rejected, or a remark. Rows are added and never changed.

The state of a version is the last verdict on it. A corrected label is a new version and is looked at anew. Like the
versions, reviews are written beside the index once more (``reviews/``), from which a lost one is made again.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, astuple, dataclass
from typing import TYPE_CHECKING, Literal

from tumorseg.access.errors import ForbiddenError
from tumorseg.access.types import Principal, Role
from tumorseg.errors import InputError
from tumorseg.labels.objects import write_durably
from tumorseg.labels.records import now

if TYPE_CHECKING:
    from tumorseg.labels.database import Database
    from tumorseg.labels.types import LabelVersion

logger = logging.getLogger(__name__)

Verdict = Literal["approve", "reject", "comment"]
State = Literal["open", "approved", "rejected"]

_STATES: dict[str, State] = {"approve": "approved", "reject": "rejected"}
#: Where reviews are written once more, beside the index.
REVIEWS_FOLDER = "reviews"
_MOST_CHARACTERS = 4000
#: SQLite takes so many parameters in one statement everywhere.
_AT_ONCE = 500
_SCHEMA = """
CREATE TABLE IF NOT EXISTS reviews (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uid TEXT NOT NULL,
  verdict TEXT NOT NULL CHECK (verdict IN ('approve', 'reject', 'comment')),
  reviewer TEXT NOT NULL,
  comment TEXT NOT NULL,
  created TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS reviews_of_version ON reviews (uid, id);
CREATE TRIGGER IF NOT EXISTS reviews_stay BEFORE UPDATE ON reviews
BEGIN SELECT RAISE(ABORT, 'reviews are never changed'); END;
CREATE TRIGGER IF NOT EXISTS reviews_are_kept BEFORE DELETE ON reviews
BEGIN SELECT RAISE(ABORT, 'reviews are never deleted'); END;
"""


@dataclass(frozen=True)
class Review:
    """One entry.

    Attributes:
        uid: of the version.
        verdict: what was decided; a comment decides nothing.
        reviewer: who.
        comment: why, or ``""``.
        created: when, ISO 8601 in UTC.
    """

    uid: str
    verdict: Verdict
    reviewer: str
    comment: str
    created: str


class Reviews:
    """The reviews of the versions in one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._beside = database.path.with_name(REVIEWS_FOLDER)
        database.ensure("reviews", _SCHEMA)

    def add(self, version: LabelVersion, verdict: Verdict, by: Principal, comment: str = "") -> Review:
        """Keep what somebody says of a version; the same again, as after a lost answer, is kept once.

        Raises:
            InputError: an unknown verdict, a rejection or comment without words, or a label that was removed.
            ForbiddenError: somebody approves what they made themselves.
        """
        text = comment.encode("utf-8", "replace").decode().strip()
        _check(version, verdict, text)
        if verdict == "approve" and version.author == by.name and by.role < Role.ADMIN:
            raise ForbiddenError(f"this version is by {by.name}: somebody else approves it, or an admin")
        with self._database.transaction() as connection:
            last = connection.execute(
                "SELECT * FROM reviews WHERE uid = ? ORDER BY id DESC LIMIT 1", (version.uid,)
            ).fetchone()
            if last is not None and (last["verdict"], last["reviewer"], last["comment"]) == (verdict, by.name, text):
                return _review(last)
            review = Review(version.uid, verdict, by.name, text, now())
            sql = "INSERT INTO reviews (uid, verdict, reviewer, comment, created) VALUES (?, ?, ?, ?, ?)"
            number = connection.execute(sql, astuple(review)).lastrowid
        self._write_beside(int(number or 0), review)
        return review

    def recover(self) -> int:
        """Put reviews back that are beside the index and not in it; say how many."""
        found = 0
        for path in sorted(self._beside.glob("*.json")):
            with suppress(OSError, ValueError, TypeError), self._database.transaction() as connection:
                review = Review(**json.loads(path.read_text(encoding="utf-8")))
                sql = "INSERT OR IGNORE INTO reviews (id, uid, verdict, reviewer, comment, created)"
                values = (int(path.stem), *astuple(review))
                found += connection.execute(f"{sql} VALUES (?, ?, ?, ?, ?, ?)", values).rowcount
        return found

    def _write_beside(self, number: int, review: Review) -> None:
        """Write a review beside the index; it is kept by now, so nothing here makes that fail."""
        path = self._beside / f"{number:09d}.json"
        try:
            write_durably(path, json.dumps(asdict(review)).encode())
        except OSError as error:
            logger.warning("review %s is kept in the index only: %s", path.name, error)

    def of(self, uid: str) -> list[Review]:
        """Return everything that was said of a version, oldest first."""
        return self.of_each([uid])[uid]

    def of_each(self, uids: Iterable[str]) -> dict[str, list[Review]]:
        """Return everything that was said of each of the versions, oldest first."""
        said: dict[str, list[Review]] = {uid: [] for uid in uids}
        for part, marks in _parts(list(said)):
            sql = f"SELECT * FROM reviews WHERE uid IN ({marks}) ORDER BY id"
            for row in self._database.rows(sql, *part):
                said[row["uid"]].append(_review(row))
        return said

    def state(self, uid: str) -> State:
        """Return the last verdict on a version."""
        return self.states([uid])[uid]

    def states(self, uids: Iterable[str]) -> dict[str, State]:
        """Return the state of each of the versions."""
        found: dict[str, State] = dict.fromkeys(uids, "open")
        for part, marks in _parts(list(found)):
            last = f"SELECT MAX(id) FROM reviews WHERE verdict <> 'comment' AND uid IN ({marks}) GROUP BY uid"
            rows = self._database.rows(f"SELECT uid, verdict FROM reviews WHERE id IN ({last})", *part)
            found.update({row["uid"]: _STATES[row["verdict"]] for row in rows})
        return found


def _parts(uids: list[str]) -> Iterator[tuple[list[str], str]]:
    """Yield as many as one statement takes, with the places for them."""
    for start in range(0, len(uids), _AT_ONCE):
        part = uids[start : start + _AT_ONCE]
        yield part, ", ".join("?" * len(part))


def _check(version: LabelVersion, verdict: str, comment: str) -> None:
    if verdict not in ("approve", "reject", "comment"):
        raise InputError(f"expected approve, reject or comment as a verdict, got {verdict!r:.40}")
    if version.kind == "removed":
        raise InputError("this version says that the label was removed: there is nothing to review")
    if verdict != "approve" and not comment:
        raise InputError(f"expected a comment that says why with {verdict!r}, got none")
    if len(comment) > _MOST_CHARACTERS:
        raise InputError(f"expected a comment of at most {_MOST_CHARACTERS} characters, got {len(comment)}")


def _review(row: sqlite3.Row) -> Review:
    return Review(row["uid"], row["verdict"], row["reviewer"], row["comment"], row["created"])
