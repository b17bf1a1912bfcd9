"""STOW-RS into a folder: the message in, the store instances response out (PS3.18 section 10.5)."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import IO, Any

from tumorseg.dicom.store.folder import FolderStore
from tumorseg.dicom.store.receive import NOT_UNDERSTOOD, Received, receive
from tumorseg.errors import InputError, TumorSegError
from tumorseg.io.guard.dicom import check_dicom
from tumorseg.server import multipart

_FAILED, _STORED = "00081198", "00081199"


class UnsupportedMediaError(TumorSegError):
    """A body of a kind that STOW-RS does not take (HTTP 415)."""

    status = 415


def require_boundary(content_type: str) -> str:
    """Return the boundary of a multipart message of DICOM files; raise UnsupportedMediaError for anything else."""
    media = multipart.parse_media_type(content_type)
    kind = media.parameters.get("type", "application/dicom").lower()
    if media.name != "multipart/related" or kind != "application/dicom":
        raise UnsupportedMediaError(
            f'expected multipart/related; type="application/dicom", got {content_type[:100] or "no content type"}'
        )
    if not media.parameters.get("boundary"):
        raise multipart.MultipartError("the content type names no boundary")
    return media.parameters["boundary"]


def keep(
    store: FolderStore,
    body: IO[bytes],
    boundary: str,
    study_uid: str | None,
    base: str,
    most: int,
) -> tuple[int, dict[str, Any]]:
    """Keep every part of a message whose pixels take at most ``most`` bytes unpacked.

    Returns:
        The status (200: all kept, 202: some, 409: none) and the response in the DICOM JSON model.

    Raises:
        MultipartError: the message is malformed; parts before the damage are kept.
        ReadOnlyError: the folder cannot be written to.
    """
    results = [_taken(store, part, study_uid, most) for part in multipart.read(body, boundary)]
    if not results:
        raise multipart.MultipartError("the message has no part")
    stored = [result for result in results if result.reason == 0]
    failed = [result for result in results if result.reason != 0]
    answer: dict[str, Any] = {}
    if stored:
        answer[_STORED] = {"vr": "SQ", "Value": [_stored(result, base) for result in stored]}
    if failed:
        answer[_FAILED] = {"vr": "SQ", "Value": [_failed(result) for result in failed]}
    return (200 if not failed else 202 if stored else 409), answer


def _taken(store: FolderStore, part: bytes, study_uid: str | None, most: int) -> Received:
    """Keep one part, having looked at what it unpacks to: once it is in the folder everybody may ask for its pixels."""
    try:
        check_dicom(BytesIO(part), Path("a part"), most)
    except InputError:
        return Received("", "", "", "", NOT_UNDERSTOOD)
    return receive(store, part, study_uid)


def _reference(result: Received) -> dict[str, Any]:
    return {
        "00081150": {"vr": "UI", "Value": [result.sop_class]} if result.sop_class else {"vr": "UI"},
        "00081155": {"vr": "UI", "Value": [result.sop_uid]} if result.sop_uid else {"vr": "UI"},
    }


def _stored(result: Received, base: str) -> dict[str, Any]:
    address = f"{base}/studies/{result.study_uid}/series/{result.series_uid}/instances/{result.sop_uid}"
    return {**_reference(result), "00081190": {"vr": "UR", "Value": [address]}}


def _failed(result: Received) -> dict[str, Any]:
    return {**_reference(result), "00081197": {"vr": "US", "Value": [result.reason]}}
