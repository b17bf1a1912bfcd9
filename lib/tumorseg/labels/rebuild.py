"""Making a lost or damaged index again, from the files of the versions and from what of the old index can be read."""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Iterable
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

from tumorseg.errors import InputError
from tumorseg.labels.database import Database
from tumorseg.labels.history import LabelHistory
from tumorseg.labels.layout import set_aside
from tumorseg.labels.objects import flush_folder, write_durably
from tumorseg.labels.prompt_logs import PROMPTS_FOLDER, PromptLogs
from tumorseg.labels.records import as_json, from_file, from_row, insert
from tumorseg.labels.reviews import REVIEWS_FOLDER, Reviews
from tumorseg.labels.tables import MIGRATIONS
from tumorseg.labels.types import LabelVersion

#: Tables that the versions themselves give again, or that belong to the index itself.
_OURS = frozenset({"versions", "heads", "copies", "schemas"})


def rebuild_index(history: LabelHistory) -> str:
    """Put a new index in the place of the one that is there, which is set aside; say what was done.

    The caller holds the guard alone. A server that runs meanwhile opens the new one by itself.
    """
    path = history.database.path
    versions = {**_from_rows(path), **_from_files(history)}
    draft = path.with_name(f"rebuild-{secrets.token_hex(4)}.sqlite")
    others = _fill(draft, path, versions.values())
    put_index(history, draft)
    _write_moved(history)
    if (history.folder / REVIEWS_FOLDER).is_dir():
        others += Reviews(history.database).recover()
    if (history.folder / PROMPTS_FOLDER).is_dir():
        others += PromptLogs(history.database).recover()
    also = f" and {others} rows of other tables" if others else ""
    return f"made again with {len(versions)} versions{also}"


def put_index(history: LabelHistory, new: Path) -> None:
    """Put another index in the place of the one that is there, which is set aside."""
    path = history.database.path
    history.database.close()
    # The log goes first: SQLite must never take the old one for a part of the new index.
    for name in (f"{path.name}-wal", f"{path.name}-shm"):
        if path.with_name(name).exists():
            set_aside(history.root, path.with_name(name))
    if path.exists():
        set_aside(history.root, path, stays=True)
    os.replace(new, path)
    flush_folder(path.parent)


def _write_moved(history: LabelHistory) -> None:
    """Write the files anew of versions that got another place in the order."""
    rows = {row["uid"]: from_row(row) for row in history.database.rows("SELECT * FROM versions")}
    for path in list(history.version_files.files()):
        with suppress(InputError):
            version = rows[from_file(path).uid]
            target = history.version_files.path(version)
            if path != target:
                write_durably(target, as_json(version))
                path.unlink()


def _from_files(history: LabelHistory) -> dict[str, LabelVersion]:
    found = {}
    for path in history.version_files.files():
        with suppress(InputError):
            version = from_file(path)
            found[version.uid] = version
    return found


def _from_rows(path: Path) -> dict[str, LabelVersion]:
    """Read what can be read of the old index, row by row: a damaged page ends it and takes nothing else along."""
    found: dict[str, LabelVersion] = {}
    with suppress(sqlite3.DatabaseError, ValueError, TypeError, LookupError), closing(_opened(path)) as old:
        for row in old.execute("SELECT * FROM versions ORDER BY seq"):
            version = from_row(row)
            found[version.uid] = version
    return found


def _opened(path: Path) -> sqlite3.Connection:
    """Open an index that may be damaged, to read it."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)
    connection.row_factory = sqlite3.Row
    return connection


def _fill(draft: Path, old: Path, versions: Iterable[LabelVersion]) -> int:
    """Write a new index; return how many rows of other tables came along."""
    database = Database(draft, MIGRATIONS)
    try:
        with database.transaction() as connection:
            last = 0
            for version in sorted(versions, key=lambda version: (version.seq, version.created)):
                # Two may claim one place where an older index had been put back: the later ones move on.
                last = max(last + 1, version.seq)
                insert(connection, replace(version, seq=last))
            return _carry_over(connection, old)
    finally:
        database.close()


def _carry_over(connection: sqlite3.Connection, old: Path) -> int:
    """Take along the tables that others keep in the index (reviews, leases), as far as they can be read."""
    count = 0
    with suppress(sqlite3.DatabaseError), closing(_opened(old)) as source:
        sql = "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type = 'table' DESC"
        for part in source.execute(sql).fetchall():
            if part["tbl_name"] in _OURS or part["name"].startswith("sqlite_"):
                continue
            with suppress(sqlite3.DatabaseError):
                connection.execute(part["sql"])
                count += _copy_rows(source, connection, part["name"]) if part["type"] == "table" else 0
    return count


def _copy_rows(source: sqlite3.Connection, target: sqlite3.Connection, table: str) -> int:
    """Copy a table row by row, up to where it is damaged."""
    count = 0
    with suppress(sqlite3.DatabaseError):
        for row in source.execute(f'SELECT * FROM "{table}"'):
            target.execute(f'INSERT INTO "{table}" VALUES ({", ".join("?" * len(row))})', tuple(row))
            count += 1
    return count
