"""Looking into the audit log: newest first, a page at a time."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tumorseg.audit.log import AuditLog
from tumorseg.audit.record import COLUMNS, AuditRecord
from tumorseg.audit.verify import opened, record_of
from tumorseg.errors import InputError


@dataclass(frozen=True)
class Wanted:
    """Which records are looked for; what is empty counts as any.

    Attributes:
        who: the name of a person.
        action: an action, or its beginning: ``label`` finds ``label.save``.
        image: an image id, as a viewer sends it.
        since: ISO 8601 in UTC; a date alone is its midnight.
        until: the same; records before it.
        before: a record's number: only older ones, for the next page.
        limit: how many at most.
    """

    who: str = ""
    action: str = ""
    image: str = ""
    since: str = ""
    until: str = ""
    before: int = 0
    limit: int = 100


def records(folder: Path, wanted: Wanted) -> list[AuditRecord]:
    """Return the wanted records, newest first; NotFoundError where there is no log."""
    conditions, values = ["1"], []
    for condition, value in (
        ("who = ?", wanted.who),
        ("time >= ?", wanted.since),
        ("time < ?", wanted.until),
        ("seq < ?", wanted.before),
    ):
        if value:
            conditions.append(condition)
            values.append(value)
    if wanted.action:
        conditions.append("(action = ? OR substr(action, 1, ?) = ?)")
        values += [wanted.action, len(wanted.action) + 1, f"{wanted.action}."]
    with closing(opened(folder)) as connection:
        if wanted.image:
            conditions.append("image IN (?, ?)")
            values += [wanted.image, AuditLog(folder).pseudonym_of(wanted.image)]
        text = f"SELECT {', '.join(COLUMNS)} FROM record WHERE {' AND '.join(conditions)} ORDER BY seq DESC LIMIT ?"
        return [record_of(row) for row in connection.execute(text, (*values, wanted.limit))]


def moment(text: str) -> str:
    """Bring a date or time into the form of the log; empty stays empty.

    Raises:
        InputError: it is neither.
    """
    if not text:
        return ""
    try:
        when = datetime.fromisoformat(text)
        when = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InputError(f"expected a date like 2026-11-21 or 2026-11-21T08:00, got {text[:40]!r}") from None
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
