"""The files of labels, each under the digest of its content: ``objects/ab/abcd….nii.gz``.

A file comes into being whole and on the disk, is never changed afterwards, and is shared by the versions that say the
same. Nothing else decides whether a label exists: that is the row in the index.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tumorseg.errors import StorageError
from tumorseg.labels.types import LabelVersion

_CHUNK = 1 << 20
_READ_ONLY = ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH)
#: Ending of a file that is being written; what a crash leaves of it is removed by fsck.
DRAFT_SUFFIX = ".tmp"


@dataclass(frozen=True)
class Stored:
    """Content that is kept: its digest, the ending of its file, and its bytes."""

    sha256: str
    suffix: str
    size: int


class ObjectStore:
    """Content-addressed files below ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, file: Path, suffix: str) -> Stored:
        """Keep a copy of a file; when this returns it would survive a power cut."""
        incoming = self.root / "incoming"
        incoming.mkdir(parents=True, exist_ok=True)
        draft = incoming / f"{secrets.token_hex(8)}{DRAFT_SUFFIX}"
        try:
            digest, size = _copy(file, draft)
            stored = Stored(digest, suffix, size)
            target = self.place(digest, suffix)
            if not self._keeps(stored):
                make_folder(target.parent)
                draft.chmod(draft.stat().st_mode & _READ_ONLY)
                os.replace(draft, target)
            flush_folder(target.parent)
        finally:
            draft.unlink(missing_ok=True)
        return stored

    def place(self, sha256: str, suffix: str) -> Path:
        """Say where content of this digest lies, if it is kept."""
        return self.root / sha256[:2] / f"{sha256}{suffix}"

    def path(self, version: LabelVersion) -> Path:
        """Return the file of a version; its digest is taken once, and again when the file looks changed.

        Raises:
            StorageError: the file is gone, or is not what was saved.
        """
        path = self.place(version.sha256, version.suffix)
        trouble = self.trouble(path, version)
        if trouble:
            raise StorageError(
                f"the file of label {version.uid} ({version.image}, {version.tag}) {trouble}: "
                "run tumorseg fsck --repair, or restore a backup"
            )
        return path

    def trouble(self, path: Path, version: LabelVersion) -> str:
        """Say what is wrong with the file of a version; ``""`` where nothing is."""
        try:
            state = path.stat()
            if state.st_size != version.size:
                return f"has {state.st_size} bytes instead of {version.size}"
            return "" if digest_of(path) == version.sha256 else "has another content than was saved"
        except FileNotFoundError:
            return "is gone"
        except OSError as error:
            return f"cannot be read ({error.strerror})"

    def files(self) -> Iterator[Path]:
        """Yield every kept file; drafts are not among them."""
        if self.root.is_dir():
            for folder in sorted(self.root.iterdir()):
                if len(folder.name) == 2 and folder.is_dir():
                    yield from sorted(path for path in folder.iterdir() if path.suffix != DRAFT_SUFFIX)

    def _keeps(self, stored: Stored) -> bool:
        """Whether the content is there already, undamaged; its age begins anew, so that no one clears it away."""
        path = self.place(stored.sha256, stored.suffix)
        try:
            if path.stat().st_size != stored.size or digest_of(path) != stored.sha256:
                return False
            os.utime(path)
        except OSError:
            return False
        return True


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, remembered until the file changes."""
    state = path.stat()
    return _digest(str(path), state.st_ino, state.st_mtime_ns, state.st_ctime_ns, state.st_size)


@lru_cache(maxsize=8192)
def _digest(path: str, inode: int, changed_ns: int, touched_ns: int, size: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _copy(file: Path, draft: Path) -> tuple[str, int]:
    """Copy a file onto the disk and return the digest and the size of what was copied."""
    digest, size = hashlib.sha256(), 0
    with file.open("rb") as source, draft.open("xb") as target:
        while piece := source.read(_CHUNK):
            digest.update(piece)
            target.write(piece)
            size += len(piece)
        target.flush()
        os.fsync(target.fileno())
    return digest.hexdigest(), size


def write_durably(path: Path, data: bytes) -> None:
    """Write a file in one step; when this returns it would survive a power cut."""
    make_folder(path.parent)
    draft = path.with_name(f".{secrets.token_hex(8)}{DRAFT_SUFFIX}")
    try:
        with draft.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
        flush_folder(path.parent)
    finally:
        draft.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Make a folder and what leads to it, each on the disk."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir()
        flush_folder(folder.parent)


def flush_folder(folder: Path) -> None:
    """Bring the names in a folder onto the disk (a file's own fsync does not)."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_older_than(path: Path, seconds: float) -> bool:
    """Whether a file was left alone for this long; one from the future counts as new."""
    return time.time() - path.stat().st_mtime > seconds
