"""A copy of the history in another folder, made while a server runs, and bringing it back.

The index is copied by SQLite at one moment; every version in that copy has its file already, and files never change,
so what is copied afterwards belongs together. Files that the backup has are not copied again. The plain layout is
not part of it: it is made again from the versions.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path

from tumorseg.errors import InputError, StorageError
from tumorseg.labels.examination import Examination
from tumorseg.labels.fsck import ORPHAN_AGE_S, Report
from tumorseg.labels.history import LabelHistory
from tumorseg.labels.objects import flush_folder, make_folder
from tumorseg.labels.rebuild import put_index
from tumorseg.labels.records import from_row
from tumorseg.labels.trouble import spoken
from tumorseg.labels.types import LabelVersion

#: Told of how many versions are done, of how many.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Backup:
    """What a backup holds.

    Attributes:
        versions: how many versions.
        copied: label files copied this time.
        damaged: versions whose file is gone or damaged in the original, and not in the backup either.
    """

    versions: int
    copied: int
    damaged: tuple[str, ...]


def back_up(root: Path, target: Path, progress: Progress | None = None) -> Backup:
    """Bring a backup up to date; a server may go on running.

    Args:
        root: the folder of labels.
        target: the folder of the backup, made where there is none.
        progress: told of how much is done.

    Raises:
        InputError: there are no labels, or the target is something else than a backup of them.
        StorageError: a disk refuses; the backup stays as complete as it was.
    """
    history, copy = LabelHistory(root), LabelHistory(target)
    _check_places(history, copy)
    with ExitStack() as held:
        with suppress(StorageError):  # a disk that went read-only is backed up all the more
            held.enter_context(history.guard())
        held.callback(copy.close)
        held.callback(history.close)
        with spoken(target):
            return _copy_all(history, copy, progress or (lambda done, total: None))


def bring_back(root: Path, source: Path) -> Report:
    """Put back what a backup has and the folder lacks; versions made since the backup stay.

    An index that is gone or damaged is taken from the backup. A server that runs sees what came back by itself.

    Raises:
        InputError: there is no backup.
        StorageError: the disk refuses.
    """
    backup, history = LabelHistory(source), LabelHistory(root)
    if not backup.database.path.exists():
        raise InputError(f"expected a backup of labels in {source}, but it has no {backup.database.path.name}")
    try:
        with history.guard(alone=True), spoken(root):
            _copy_files(_versions(backup.database.path), backup, history, lambda done, total: None)
            if not _is_sound(history.database.path):
                _take_index(backup, history)
            examination = Examination(history, True, ORPHAN_AGE_S)
            return Report(root, examination.run(), tuple(examination.problems))
    finally:
        history.close()


def _check_places(history: LabelHistory, copy: LabelHistory) -> None:
    root, target = history.root.resolve(), copy.root.resolve()
    if not history.database.path.exists():
        raise InputError(f"there is no history of labels in {history.root}: run tumorseg fsck on it")
    if target == root or target.is_relative_to(root) or root.is_relative_to(target):
        raise InputError(f"expected a backup outside of the labels, got {copy.root}: name another folder")
    if copy.root.exists() and not copy.root.is_dir():
        raise InputError(f"expected a folder for the backup, but {copy.root} is a file")
    if copy.root.is_dir() and any(copy.root.iterdir()) and not copy.folder.is_dir():
        raise InputError(f"{copy.root} is not empty and no backup of labels: name another folder")
    if copy.database.path.exists():
        known = {version.uid for version in _versions(history.database.path)}
        strange = [version.uid for version in _versions(copy.database.path) if version.uid not in known]
        if strange:
            raise InputError(
                f"{copy.root} has {len(strange)} versions that {history.root} does not have: it is the backup of other "
                "labels, or these lost some (then tumorseg backup --restore brings them back)"
            )


def _copy_all(history: LabelHistory, copy: LabelHistory, progress: Progress) -> Backup:
    make_folder(copy.folder)
    draft = copy.folder / f"backup-{secrets.token_hex(4)}.sqlite"
    try:
        _copy_index(history.database.path, draft)
        versions = _versions(draft)
        copied, damaged = _copy_files(versions, history, copy, progress)
        os.replace(draft, copy.database.path)
        flush_folder(copy.folder)
    finally:
        draft.unlink(missing_ok=True)
    return Backup(len(versions), copied, tuple(damaged))


def _copy_index(source: Path, target: Path) -> None:
    """Copy an index as it is at one moment, into a single file without a log beside it."""
    with closing(_opened(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)
        new.execute("PRAGMA journal_mode = DELETE")


def _copy_files(
    versions: list[LabelVersion], source: LabelHistory, target: LabelHistory, progress: Progress
) -> tuple[int, list[str]]:
    """Copy what versions need and the target lacks: their label files, and the files about them."""
    copied, damaged = 0, []
    for done, version in enumerate(versions, 1):
        if version.kind != "removed" and target.objects.trouble(*_object(target, version)):
            path, _ = _object(source, version)
            if source.objects.trouble(path, version):
                damaged.append(version.uid)
            else:
                target.objects.put(path, version.suffix)
                copied += 1
        target.version_files.keep(version)
        progress(done, len(versions))
    return copied, damaged


def _object(history: LabelHistory, version: LabelVersion) -> tuple[Path, LabelVersion]:
    return history.objects.place(version.sha256, version.suffix), version


def _take_index(backup: LabelHistory, history: LabelHistory) -> None:
    """Put the backup's index in the place of one that is gone or damaged."""
    path = history.database.path
    draft = path.with_name(f"restore-{secrets.token_hex(4)}.sqlite")
    _copy_index(backup.database.path, draft)
    put_index(history, draft)


def _is_sound(path: Path) -> bool:
    if not path.exists():
        return False
    try:
        with closing(_opened(path)) as connection:
            return str(connection.execute("PRAGMA integrity_check(1)").fetchone()[0]) == "ok"
    except sqlite3.DatabaseError:
        return False


def _versions(path: Path) -> list[LabelVersion]:
    with spoken(path), closing(_opened(path)) as connection:
        return [from_row(row) for row in connection.execute("SELECT * FROM versions ORDER BY seq")]


def _opened(path: Path) -> sqlite3.Connection:
    """Open an index to read it; one on a read-only disk as it is."""
    address = path.absolute().as_uri()
    mode = "mode=rw" if os.access(path.parent, os.W_OK) else "immutable=1"
    connection = sqlite3.connect(f"{address}?{mode}", uri=True, timeout=20.0)
    connection.row_factory = sqlite3.Row
    return connection
