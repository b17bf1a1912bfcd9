"""The index of a DICOM folder: every file's query attributes, kept in SQLite between runs.

``dicomweb_client.DICOMfileClient`` keeps such an index too, and was tried first (0.61): it parses every file
again on each update, never forgets a removed file, does not see a changed one, loses files whose values
break the standard, knows no descriptions, and answers only the thread that opened it. Here a file is parsed
again exactly when its size or modification time changed, so reopening costs one directory walk.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tumorseg.dicom.store.entries import Attributes, valid_uid
from tumorseg.dicom.store.tags import INSTANCE_KEYWORDS, SERIES_KEYWORDS, STUDY_KEYWORDS, TRANSFER_SYNTAX

logger = logging.getLogger(__name__)

#: Called with (done, total) files while an index is built.
Progress = Callable[[int, int], None]

# Raised whenever what is stored for a file changes; an index of another version is thrown away.
_SCHEMA_VERSION = 1
# So many parsed files are written at once: an interrupted first index continues where it stopped.
_BATCH = 200
_PREFIX_LENGTH, _MAGIC = 128, b"DICM"
_DICOM_SUFFIXES = {".dcm", ".dicom", ".ima"}


@dataclass(frozen=True)
class FileState:
    """What tells a changed file from the one that was parsed."""

    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Header:
    """The query attributes of one file, or why there are none."""

    state: FileState
    attributes: Attributes | None = None
    problem: str = ""


def walk(root: Path) -> Iterator[tuple[str, FileState]]:
    """Yield every visible file below ``root`` as (relative POSIX path, state); links are followed, loops are not."""
    seen: set[tuple[int, int]] = set()
    for folder, folders, names in os.walk(root, followlinks=True):
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.startswith(".") or name.upper() == "DICOMDIR":
                continue
            path = Path(folder, name)
            try:
                file = path.stat()
            except OSError:
                continue
            yield path.relative_to(root).as_posix(), FileState(file.st_size, file.st_mtime_ns)


def read_header(path: Path, state: FileState) -> Header:
    """Parse the query attributes of one file. Never raises: a file that is no DICOM carries its problem."""
    from pydicom import dcmread

    try:
        with path.open("rb") as stream:
            part10 = stream.read(_PREFIX_LENGTH + len(_MAGIC))[_PREFIX_LENGTH:] == _MAGIC
            if not part10 and path.suffix.lower() not in _DICOM_SUFFIXES:
                return Header(state, problem="not a DICOM file")
            stream.seek(0)
            keywords = [*STUDY_KEYWORDS, *SERIES_KEYWORDS, *INSTANCE_KEYWORDS]
            dataset = dcmread(stream, stop_before_pixels=True, specific_tags=keywords, force=not part10)
            attributes = _attributes(dataset)
    except Exception as error:  # pydicom raises nearly anything on a corrupt file, and one file must not stop a store
        return _unreadable(path, state, f"{type(error).__name__}: {error}")
    missing = [keyword for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
               if not valid_uid(str(dataset.get(keyword, "")))]  # fmt: skip
    if missing:
        return _unreadable(path, state, f"no valid {', '.join(missing)}")
    return Header(state, attributes)


def _attributes(dataset: Any) -> Attributes:
    """Turn what was read into the DICOM JSON model, without values that break their representation."""
    attributes: Attributes = dataset.to_json_dict(suppress_invalid_tags=True)
    attributes.pop("00080005", None)  # JSON is UTF-8, whatever the file was written in
    syntax = getattr(dataset.file_meta, "TransferSyntaxUID", None)
    if syntax:
        attributes[TRANSFER_SYNTAX] = {"vr": "UI", "Value": [str(syntax)]}
    return attributes


def _unreadable(path: Path, state: FileState, problem: str) -> Header:
    # Not by its name: people name files after patients. The error's text may quote what stands in the file.
    logger.warning("skipped a file of the studies (find STUDIES -inum %d): %s", _inode(path), problem.partition(":")[0])
    return Header(state, problem=problem)


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return 0


class Index:
    """The SQLite file. Every call opens and closes its own connection, so any thread may call."""

    def __init__(self, path: Path | None) -> None:
        """Use the file ``path``; with None, or where it cannot be written, nothing is kept between runs."""
        self._path = path
        if path is not None and not self._prepare(path):
            self._path = None

    def load(self) -> dict[str, Header]:
        """Return what was parsed earlier, by relative path."""
        if self._path is None:
            return {}
        with closing(self._connect(self._path)) as database:
            rows = database.execute("SELECT path, size, mtime_ns, attributes, problem FROM files").fetchall()
        return {path: Header(FileState(size, mtime), json.loads(attributes) if attributes else None, problem)
                for path, size, mtime, attributes, problem in rows}  # fmt: skip

    def save(self, headers: dict[str, Header]) -> None:
        """Keep these files' attributes, over what was known of them."""
        if self._path is None or not headers:
            return
        rows = [(path, h.state.size, h.state.mtime_ns, json.dumps(h.attributes) if h.attributes else None, h.problem)
                for path, h in headers.items()]  # fmt: skip
        with closing(self._connect(self._path)) as database, database:
            database.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)", rows)

    def forget(self, paths: list[str]) -> None:
        """Drop files that are no longer there."""
        if self._path is None or not paths:
            return
        with closing(self._connect(self._path)) as database, database:
            database.executemany("DELETE FROM files WHERE path = ?", [(path,) for path in paths])

    @staticmethod
    def _connect(path: Path) -> sqlite3.Connection:
        return sqlite3.connect(path, timeout=30)

    def _prepare(self, path: Path) -> bool:
        """Create the table; start over from a file that is of another version or damaged."""
        for _ in range(2):
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                with closing(self._connect(path)) as database, database:
                    version = database.execute("PRAGMA user_version").fetchone()[0]
                    if version != _SCHEMA_VERSION:
                        database.execute("DROP TABLE IF EXISTS files")
                        database.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
                    database.execute(
                        "CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, size INTEGER NOT NULL, "
                        "mtime_ns INTEGER NOT NULL, attributes TEXT, problem TEXT NOT NULL)"
                    )
                return True
            except sqlite3.DatabaseError as error:
                logger.warning("the index %s cannot be used (%s)", path, error)
                if isinstance(error, sqlite3.OperationalError):
                    return False
                path.unlink(missing_ok=True)
            except OSError as error:
                logger.warning("no index is kept: %s", error)
                return False
        return False


def refresh(root: Path, index: Index, known: dict[str, Header], progress: Progress | None = None) -> dict[str, Header]:
    """Walk ``root`` and return every file's header, parsing only what is new or changed since ``known``."""
    found = dict(walk(root))
    headers = {path: known[path] for path, state in found.items() if path in known and known[path].state == state}
    fresh = [path for path in found if path not in headers]
    batch: dict[str, Header] = {}
    for done, path in enumerate(fresh, start=1):
        batch[path] = read_header(root / path, found[path])
        if len(batch) == _BATCH or done == len(fresh):
            index.save(batch)
            headers.update(batch)
            batch = {}
        if progress is not None:
            progress(done, len(fresh))
    index.forget([path for path in known if path not in found])
    return headers
