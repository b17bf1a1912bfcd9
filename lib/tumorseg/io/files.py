"""Writing a file whole or not at all."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

from tumorseg.errors import InputError, UnavailableError


def check_target(path: Path) -> None:
    """Refuse a path that can never be written, before any work is spent on what should go there."""
    if not path.parent.is_dir():
        raise InputError(f"cannot write {path}: the folder {path.parent} does not exist; create it first")
    if path.is_dir():
        raise InputError(f"cannot write {path}: it is a folder; name a file in it")
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"cannot write {path}: no permission to write in {path.parent}")


def require_readable(folder: Path) -> None:
    """Raise UnavailableError where a folder that was there is gone or closed to us (a share that is not mounted)."""
    if not folder.is_dir() or not os.access(folder, os.R_OK | os.X_OK):
        raise UnavailableError(f"the folder {folder.name} cannot be read: is it there, and its disk mounted?")


def write_atomically(path: str | Path, data: bytes) -> Path:
    """Write ``data`` to ``path`` so that a reader sees the old file or the new one, never a part.

    Raises:
        InputError: the folder does not exist, is not writable, or ``path`` is a folder.
        OSError: the disk is full or fails; nothing is left behind.
    """
    path = Path(path)
    check_target(path)
    # In the same folder: os.replace is atomic only within one file system. The mode honours the umask.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return path


def digest(value: object) -> str:
    """Return 16 hex digits that stand for a value by what it prints as."""
    return hashlib.sha256(repr(value).encode()).hexdigest()[:16]
