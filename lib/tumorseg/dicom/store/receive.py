"""Taking an instance into a DICOM folder: checked, placed by its UIDs, never over something else."""

from __future__ import annotations

import hashlib
import io
import os
import threading
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tumorseg.dicom.store.entries import valid_uid
from tumorseg.dicom.store.folder import FolderStore
from tumorseg.errors import NotFoundError, TumorSegError

#: Failure reasons of STOW-RS and the storage service (PS3.18 table I.2-2, PS3.7 annex C).
DUPLICATE, MISMATCH, NOT_UNDERSTOOD = 0x0111, 0xA900, 0xC000

_ELEMENT_HEADER = 8  # bytes: tag, representation, length
_writing = threading.Lock()


class ReadOnlyError(TumorSegError):
    """The studies cannot be written to (HTTP 403)."""

    status = 403


@dataclass(frozen=True)
class Received:
    """What became of one instance; ``reason`` is 0 when it is in the store."""

    study_uid: str
    series_uid: str
    sop_uid: str
    sop_class: str
    reason: int = 0


def receive(store: FolderStore, content: bytes, study_uid: str | None = None) -> Received:
    """Keep the DICOM file ``content`` in the store.

    An instance that is there already with the same content counts as kept; with other content nothing is
    written. ``study_uid``: the study that the sender named.

    Raises:
        ReadOnlyError: the folder cannot be written to.
    """
    found = _identify(content)
    if found is None:
        return Received("", "", "", "", NOT_UNDERSTOOD)
    if study_uid is not None and found.study_uid != study_uid:
        return _refused(found, MISMATCH)
    with _writing:
        existing = _existing(store, found)
        if existing is not None:
            same = hashlib.sha256(existing.read_bytes()).digest() == hashlib.sha256(content).digest()
            return found if same else _refused(found, DUPLICATE)
        target = store.root / found.study_uid / found.series_uid / f"{found.sop_uid}.dcm"
        try:
            _write(target, content)
        except OSError as error:
            raise ReadOnlyError(f"the studies folder cannot be written to ({error.strerror})") from error
    store.add(target)
    return found


class _Watched(io.BytesIO):
    """Notices a read beyond the end: pydicom only logs that the last element is cut off, and drops it."""

    cut_off = False

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        # Where a data set ends, pydicom asks for one more element header and gets nothing.
        if size is not None and len(data) < size and (data or size != _ELEMENT_HEADER):
            self.cut_off = True
        return data


def _identify(content: bytes) -> Received | None:
    """Parse the whole data set; None for what is no DICOM file, is cut off, or lacks a valid UID."""
    from pydicom import dcmread

    try:
        stream = _Watched(content)
        dataset = dcmread(stream)
        if stream.cut_off or not _has_its_pixels(dataset):
            return None
        keywords = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
        uids = [str(dataset.get(keyword, "")) for keyword in keywords]
        known_syntax = bool(dataset.file_meta.TransferSyntaxUID)
    except Exception:  # pydicom raises nearly anything on a corrupt file
        return None
    if not known_syntax or not all(map(valid_uid, uids)):
        return None
    return Received(uids[0], uids[1], uids[2], uids[3])


def _has_its_pixels(dataset: Any) -> bool:
    """Tell whether an image has pixel data, and native pixel data as much as rows, columns and frames say."""
    from pydicom.pixels.utils import get_expected_length

    if "Rows" not in dataset:
        return True  # a report, a structure set
    if "PixelData" not in dataset:
        return "FloatPixelData" in dataset or "DoubleFloatPixelData" in dataset
    return bool(dataset["PixelData"].is_undefined_length or len(dataset.PixelData) >= get_expected_length(dataset))


def _refused(found: Received, reason: int) -> Received:
    return Received(found.study_uid, found.series_uid, found.sop_uid, found.sop_class, reason)


def _existing(store: FolderStore, found: Received) -> Path | None:
    try:
        return store.root / store.instances(found.study_uid, found.series_uid, found.sop_uid)[0].path
    except NotFoundError:
        target = store.root / found.study_uid / found.series_uid / f"{found.sop_uid}.dcm"
        return target if target.exists() else None


def _write(target: Path, content: bytes) -> None:
    """Write completely or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".receiving-{uuid.uuid4().hex}")  # hidden files are not indexed
    try:
        draft.write_bytes(content)
        os.replace(draft, target)
    finally:
        draft.unlink(missing_ok=True)
