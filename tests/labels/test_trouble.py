"""What a failing disk says: the right status, and what to do."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

import pytest

from tumorseg.errors import StorageError
from tumorseg.labels.trouble import spoken


def storage_error(error: Exception) -> StorageError:
    with pytest.raises(StorageError) as caught, spoken(Path("/labels/index.sqlite")):
        raise error
    return caught.value


def of_sqlite(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("said by SQLite")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), 507, "no space"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), 507, "no space"),
        (OSError(errno.EROFS, "Read-only file system"), 503, "Read-only file system"),
        (PermissionError(errno.EACCES, "Permission denied"), 503, "permissions"),
        (OSError(errno.EIO, "Input/output error"), 503, "check the disk"),
        (of_sqlite(sqlite3.SQLITE_FULL), 507, "no space"),
        (of_sqlite(sqlite3.SQLITE_READONLY_DBMOVED), 503, "opened for writing"),
        (of_sqlite(sqlite3.SQLITE_CANTOPEN), 503, "opened for writing"),
        (of_sqlite(sqlite3.SQLITE_CORRUPT), 503, "fsck --repair"),
        (of_sqlite(sqlite3.SQLITE_NOTADB), 503, "fsck --repair"),
        (of_sqlite(sqlite3.SQLITE_BUSY), 503, "try again"),
        (of_sqlite(sqlite3.SQLITE_IOERR_WRITE), 503, "check the disk"),
    ],
)
def test_every_failure_says_what_to_do(error: Exception, status: int, words: str) -> None:
    found = storage_error(error)
    assert found.status == status
    assert words in str(found)
    assert found.__cause__ is error


@pytest.mark.parametrize(
    "error", [sqlite3.IntegrityError("a fault of ours"), of_sqlite(sqlite3.SQLITE_ERROR), KeyError("x")]
)
def test_a_fault_of_ours_is_not_blamed_on_the_disk(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, spoken(Path("/labels")):
        raise error
    assert caught.value is error
    assert not isinstance(caught.value, StorageError)
