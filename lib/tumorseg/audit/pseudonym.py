"""Names for images that say nothing of a patient and can still be looked up.

A SeriesInstanceUID is a number that only those who have the archive can turn into a patient. The id of an image that
is a file is the file's name, and people name files after patients: the log keeps a keyed digest of it. Whoever has
the key and an id finds the records; from the log alone nobody gets the id back, nor by trying all names.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import re
import secrets
from pathlib import Path

from tumorseg.errors import UnavailableError

PREFIX = "id:"
_UID = re.compile(r"[0-9]+(\.[0-9]+){3,}")
_UID_LENGTH = 64
_KEY_BYTES = 32


def load_key(path: Path) -> bytes:
    """Return the key of the pseudonyms, made on first use and readable by its owner alone.

    Raises:
        UnavailableError: the key cannot be read, or is damaged: with another one no record would be found again.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        _make(path)
    key = path.read_bytes()
    if len(key) != _KEY_BYTES:
        raise UnavailableError(f"expected a key of {_KEY_BYTES} bytes in {path}, got {len(key)}: restore it")
    return key


def _make(path: Path) -> None:
    """Write a new key whole or not at all; of two processes that start at once the first one's counts."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def pseudonym(image: str, key: bytes) -> str:
    """Return what stands in the log for the id of an image that is a file."""
    return PREFIX + hmac.new(key, image.encode(errors="surrogatepass"), hashlib.sha256).hexdigest()[:32]


def looks_like_uid(image: str) -> bool:
    """Tell whether an id is a DICOM UID (PS3.5 section 9.1); of files only those of a DICOM source are believed."""
    return len(image) <= _UID_LENGTH and _UID.fullmatch(image) is not None
