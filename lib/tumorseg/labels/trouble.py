"""What a failing disk or index says, in words that tell an operator what to do."""

from __future__ import annotations

import errno
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tumorseg.errors import StorageError

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
#: A disk with less than this counts as full where SQLite says no more than "disk I/O error".
_NOTHING_LEFT = 1 << 20
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_READ_ONLY = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN)
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


#: What most files here are, in messages.
LABEL_INDEX = "label index"


@contextmanager
def spoken(path: Path, what: str = LABEL_INDEX) -> Iterator[None]:
    """Turn errors of the disk and of SQLite into StorageError; ``path`` is what was read or written, ``what`` it is."""
    try:
        yield
    except sqlite3.IntegrityError:
        raise  # what a constraint forbids is a fault of ours, not of the disk
    except sqlite3.DatabaseError as error:
        trouble = _of_sqlite(error, path, what)
        if trouble is None:
            raise
        raise trouble from error
    except OSError as error:
        raise _of_system(error, path) from error


def _code(error: sqlite3.Error) -> int:
    """Return the primary result code of SQLite; -1 where Python itself raised."""
    code = getattr(error, "sqlite_errorcode", None)
    return code & 0xFF if isinstance(code, int) else -1


def _of_sqlite(error: sqlite3.DatabaseError, path: Path, what: str) -> StorageError | None:
    code = _code(error)
    if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and _is_full(path)):
        return _full(path)
    if code in _DAMAGED:
        return StorageError(f"the {what} {path} is damaged: run tumorseg fsck --repair, or restore a backup")
    if code in _READ_ONLY:
        return StorageError(f"the {what} {path} cannot be opened for writing: check the disk and its permissions")
    if code in _BUSY:
        return StorageError(f"the {what} {path} is busy: another process keeps it locked; try again")
    if code == sqlite3.SQLITE_IOERR:
        return StorageError(f"the {what} {path} cannot be read or written ({error}): check the disk")
    return None


def _of_system(error: OSError, path: Path) -> StorageError:
    if error.errno in _NO_SPACE:
        return _full(path)
    reason = error.strerror or type(error).__name__
    return StorageError(f"{path} cannot be read or written ({reason}): check the disk and its permissions")


def _full(path: Path) -> StorageError:
    return StorageError(f"no space is left for labels at {path}: free some and send it again", full=True)


def _is_full(path: Path) -> bool:
    try:
        return shutil.disk_usage(path.parent).free < _NOTHING_LEFT
    except OSError:
        return False
