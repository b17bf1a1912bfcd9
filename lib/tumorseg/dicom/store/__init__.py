"""DICOM studies wherever they lie: a folder of files or a DICOMweb archive, behind one interface."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tumorseg.dicom.store.entries import DicomStore, SeriesEntry, StudyEntry
from tumorseg.errors import InputError

if TYPE_CHECKING:
    from tumorseg.dicom.store.index import Progress

__all__ = ["DicomStore", "SeriesEntry", "StudyEntry", "open_store"]


#: What is kept of an archive where nothing else is said, MB.
_CACHE_MB = 20480


def open_store(
    studies: str | Path, cache: Path | None = None, *, cache_mb: int = _CACHE_MB, progress: Progress | None = None
) -> DicomStore:
    """Open a folder of DICOM files or a DICOMweb address.

    Args:
        studies: a folder, or ``http(s)://[user:password@]host/path`` of a DICOMweb server.
        cache: folder for the index and for what is fetched; the user's cache folder by default. Never ``studies``.
        cache_mb: how much of what is fetched is kept; series used longest ago make way.
        progress: called with (done, total) files while a folder is indexed.

    Raises:
        InputError: the folder does not exist, or the address has another scheme.
    """
    from tumorseg.dicom.store.folder import FolderStore
    from tumorseg.dicom.store.remote import RemoteStore

    cache = cache or default_cache()
    text = str(studies)
    if "://" in text:
        parts = urlsplit(text)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError(f"expected a folder or an http(s) address of a DICOMweb server, got {parts.scheme}://…")
        return RemoteStore.open(text, cache, cache_mb)
    root = Path(studies)
    if not root.is_dir():
        raise InputError(f"expected a folder of DICOM files, found none at {root}")
    key = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:24]
    return FolderStore(root, cache / "dicom-index" / f"{key}.sqlite", progress=progress)


def default_cache() -> Path:
    """Return the folder where this user's programs keep what can be made again (XDG base directories)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tumorseg"
