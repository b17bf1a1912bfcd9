"""The files of weights in a model's folder, each under the digest of its content."""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tumorseg.errors import InputError
from tumorseg.labels.objects import DRAFT_SUFFIX, flush_folder, make_folder

#: The folder of the cards within a model's.
CARDS = "cards"
_LOCK = ".lock"


def weights_file(folder: Path, sha256: str) -> Path:
    """Say where weights of this digest lie, if they are kept."""
    return folder / f"{sha256}.safetensors"


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold a model's folder against every other process and thread; what killed ones left half-written is removed."""
    make_folder(folder / CARDS)
    # To lock it, nobody needs to write it: whoever made it may be another user.
    descriptor = os.open(folder / _LOCK, os.O_RDONLY | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        for place in (folder, folder / CARDS):
            for draft in place.glob(f".*{DRAFT_SUFFIX}"):  # whoever wrote it held the lock, and is gone
                draft.unlink(missing_ok=True)
        yield
    finally:
        os.close(descriptor)  # which gives the lock back


def keep_weights(folder: Path, file: Path, sha256: str) -> None:
    """Copy weights into the folder, unless they are there; when this returns they would survive a power cut.

    Raises:
        InputError: the file has another digest.
    """
    path = weights_file(folder, sha256)
    if holds(path, sha256):
        flush_folder(folder)  # whoever put it there may not have come that far
        return
    draft = folder / f".{secrets.token_hex(8)}{DRAFT_SUFFIX}"
    try:
        shutil.copyfile(file, draft)
        if not holds(draft, sha256):
            raise InputError(f"expected weights with the SHA-256 {sha256}, got another file: {file.name}")
        with draft.open("rb+") as copied:
            os.fsync(copied.fileno())
        os.replace(draft, path)
        flush_folder(folder)
    finally:
        draft.unlink(missing_ok=True)


def digest_of(file: Path) -> str:
    """Return the SHA-256 of a file as 64 hex digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def holds(path: Path, sha256: str) -> bool:
    """Whether a file is there and has this digest."""
    try:
        return digest_of(path) == sha256
    except FileNotFoundError:
        return False
