"""Versions as rows of the index and as files beside the objects, from which a lost index is made again.

A row is what counts. Its file ``versions/000000/000000042-<uid>.json`` follows the commit, so that there is never a
file of a version that nobody was told of.
"""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tumorseg.errors import ConflictError, InputError
from tumorseg.labels.objects import Stored, write_durably
from tumorseg.labels.types import Kind, LabelVersion, Provenance

_COLUMNS = tuple(column.name for column in fields(LabelVersion))
_JSON_COLUMNS = ("prompts", "info")
_PER_FOLDER = 1000
#: What two versions of one author have in common when the second is the first, sent again.
_SAME = ("kind", "sha256", "suffix", "info", "model", "model_version", "prompts")
#: A client that got no answer sends its save again within this time, s; somebody else's may have come between.
_SENT_AGAIN_S = 60.0
_NOTHING = Stored("", "", 0)


@dataclass(frozen=True)
class Draft:
    """A version that is not yet kept.

    Attributes:
        parent: uid of the version that it was made from; None takes the author's own newest one.
        created: wall time; None takes now.
    """

    image: str
    tag: str
    provenance: Provenance
    kind: Kind
    stored: Stored = _NOTHING
    info: Mapping[str, Any] = field(default_factory=dict)
    parent: str | None = None
    created: str | None = None


def add(
    connection: sqlite3.Connection, draft: Draft, expected_parent: str | None = None, *, once: bool = True
) -> LabelVersion:
    """Add a version within a transaction.

    Args:
        connection: within a transaction.
        draft: what is added.
        expected_parent: the newest version of the tag, as the editor knows it.
        once: return the author's newest version where this is the same save, sent again after a lost answer.

    Raises:
        ConflictError: there is a newer version of the tag than the one that the editor had.
    """
    values = _values(draft)
    own = current(connection, draft.image, draft.tag, draft.provenance.author)
    head = current(connection, draft.image, draft.tag)
    if once and own is not None and head is not None and _is_sent_again(own, head, values, expected_parent):
        return from_row(own)
    if expected_parent is not None:
        _check_parent(head, draft, expected_parent)
    values["parent"] = draft.parent or expected_parent or (own["uid"] if own is not None else None)
    columns = ", ".join(values)
    cursor = connection.execute(
        f"INSERT INTO versions ({columns}) VALUES ({', '.join('?' * len(values))})", tuple(values.values())
    )
    row = connection.execute("SELECT * FROM versions WHERE seq = ?", (cursor.lastrowid,)).fetchone()
    return from_row(row)


def current(connection: sqlite3.Connection, image: str, tag: str, author: str | None = None) -> sqlite3.Row | None:
    """Return the row of the newest version of a tag, of one author or of all; None where it was removed since."""
    if author is None:
        sql = "SELECT v.* FROM heads h JOIN versions v USING (seq) WHERE h.image = ? AND h.tag = ?"
        found = connection.execute(sql, (image, tag)).fetchone()
    else:
        sql = "SELECT * FROM versions WHERE image = ? AND tag = ? AND (author = ? OR kind = 'removed')"
        found = connection.execute(f"{sql} ORDER BY seq DESC LIMIT 1", (image, tag, author)).fetchone()
    return None if found is None or found["kind"] == "removed" else found


def insert(connection: sqlite3.Connection, version: LabelVersion) -> None:
    """Put a version back as it was, with its place in the order."""
    values = {column: getattr(version, column) for column in _COLUMNS}
    values.update({column: _text(values[column], column) for column in _JSON_COLUMNS})
    connection.execute(
        f"INSERT INTO versions ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})", tuple(values.values())
    )


def from_row(row: Mapping[str, Any] | sqlite3.Row) -> LabelVersion:
    """Return a row as a version."""
    values = {column: row[column] for column in _COLUMNS}
    values.update({column: json.loads(values[column]) if values[column] else None for column in _JSON_COLUMNS})
    return LabelVersion(**values)


def plain_json(value: Mapping[str, Any] | None, what: str) -> dict[str, Any]:
    """Return a JSON object as it reads back; InputError where it cannot be one."""
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(value or {}), allow_nan=False, default=str))
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError(f"expected {what} that can be written as JSON ({error})") from None
    return plain


def now() -> str:
    """Return the wall time in UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _is_sent_again(own: sqlite3.Row, head: sqlite3.Row, values: Mapping[str, Any], expected_parent: str | None) -> bool:
    """Tell a save that is sent again from one that means: mine, after all, and not what came since."""
    if any(own[column] != values[column] for column in _SAME):
        return False
    if expected_parent is not None and own["parent"] == expected_parent:
        return True
    if own["seq"] == head["seq"]:
        return True
    age = datetime.now(UTC) - datetime.fromisoformat(own["created"])
    return expected_parent is None and abs(age.total_seconds()) < _SENT_AGAIN_S


def _check_parent(head: sqlite3.Row | None, draft: Draft, expected: str) -> None:
    if head is None or head["uid"] != expected:
        newer = f"{head['uid']} by {head['author']}, {head['created']}" if head else "none: it was removed"
        raise ConflictError(
            f"the label {draft.tag!r} of {draft.image!r} was changed since version {expected}; "
            f"the newest is {newer}: load it and send yours again, or save without naming a version"
        )


def _values(draft: Draft) -> dict[str, Any]:
    who = draft.provenance
    return {
        "uid": uuid.uuid4().hex,
        "image": draft.image,
        "tag": draft.tag,
        "author": who.author,
        "created": draft.created or now(),
        "tool": who.tool,
        "model": who.model,
        "model_version": who.model_version,
        "prompts": _text(who.prompts, "prompts"),
        "parent": None,
        "kind": draft.kind,
        "sha256": draft.stored.sha256,
        "suffix": draft.stored.suffix,
        "size": draft.stored.size,
        "info": _text(draft.info, "info"),
        "request_id": who.request_id,
    }


def _text(value: Mapping[str, Any] | None, column: str) -> str | None:
    """Write JSON so that equal values are equal texts."""
    if value is None and column == "prompts":
        return None
    return json.dumps(plain_json(value, column), sort_keys=True)


class VersionFiles:
    """The files of versions below ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, version: LabelVersion) -> Path:
        """Say where the file of a version lies."""
        return self.root / f"{version.seq // _PER_FOLDER:06d}" / f"{version.seq:09d}-{version.uid}.json"

    def keep(self, version: LabelVersion) -> None:
        """Write the file of a version where it is not there yet."""
        path = self.path(version)
        if not path.exists():
            write_durably(path, as_json(version))

    def files(self) -> Iterator[Path]:
        """Yield every file in the order of the versions."""
        if self.root.is_dir():
            yield from sorted(self.root.glob("*/*.json"))

    def is_empty(self) -> bool:
        """Whether no version was ever written here."""
        return next(self.files(), None) is None


def as_json(version: LabelVersion) -> bytes:
    """Write a version as its file has it."""
    return json.dumps(asdict(version), indent=1, sort_keys=True).encode()


def from_file(path: Path) -> LabelVersion:
    """Read the file of a version.

    Raises:
        InputError: it is damaged.
    """
    try:
        return LabelVersion(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path.name} is damaged ({error}): restore it from a backup") from None
