"""What a DICOMweb client accepts and asks for beside the address (PS3.18 sections 8.7 and 8.3.5)."""

from __future__ import annotations

import re

from tumorseg.dicom.store.frames import EXPLICIT_LITTLE_ENDIAN, MEDIA_TYPES, Layout
from tumorseg.dicom.store.query import QueryError
from tumorseg.errors import TumorSegError
from tumorseg.server.multipart import MediaType, parse_media_type

_MAX_FRAMES = 100_000
_MAX_VIEWPORT = 8192
_NUMBER = r"[-+]?[0-9]*\.?[0-9]+([eE][-+]?[0-9]+)?"


class NotAcceptableError(TumorSegError):
    """The client takes nothing that can be sent (HTTP 406)."""

    status = 406


def _types(header: str) -> list[MediaType]:
    """Parse an Accept header: the parts' types of multipart ones, with the transfer syntax."""
    return [parse_media_type(part) for part in re.split(r",(?=(?:[^\"]*\"[^\"]*\")*[^\"]*$)", header) if part.strip()]


def as_stored(header: str, where: Layout) -> bool:
    """Tell whether frames go out as they are stored; else they are sent as explicit little endian.

    Without a wish PS3.18 makes explicit little endian the default; ``transfer-syntax=*`` takes any.
    """
    wanted = _types(header)
    if not where.compressed:
        _require(wanted, {EXPLICIT_LITTLE_ENDIAN}, "application/octet-stream")
        return False
    kind = MEDIA_TYPES.get(where.transfer_syntax, "application/octet-stream")
    for media in wanted:
        syntax = media.parameters.get("transfer-syntax")
        if syntax in ("*", where.transfer_syntax) or (syntax is None and media.parameters.get("type") == kind):
            return True
    _require(wanted, {EXPLICIT_LITTLE_ENDIAN}, "application/octet-stream")
    return False


def require_dicom(header: str, stored: set[str]) -> None:
    """Raise NotAcceptableError when a client wants whole files in a transfer syntax that they do not have."""
    _require(_types(header), stored, "application/dicom")


def _require(wanted: list[MediaType], syntaxes: set[str], kind: str) -> None:
    for media in wanted or [MediaType("*/*", {})]:
        inner = media.parameters.get("type", kind).lower() if media.name == "multipart/related" else media.name
        syntax = media.parameters.get("transfer-syntax", "*")
        if inner in (kind, "*/*", kind.partition("/")[0] + "/*") and (syntax == "*" or syntaxes <= {syntax}):
            return
    raise NotAcceptableError(f"this can be sent as {kind} with transfer syntax {', '.join(sorted(syntaxes))} only")


def picture_type(header: str) -> str:
    """Choose between JPEG and PNG, in the client's order; JPEG when it does not mind."""
    names = [media.name for media in _types(header)]
    for name in names:
        if name in ("image/jpeg", "image/png"):
            return name
        if name in ("*/*", "image/*"):
            return "image/jpeg"
    if names:
        raise NotAcceptableError("a picture can be sent as image/jpeg or image/png only")
    return "image/jpeg"


def frame_numbers(text: str) -> list[int]:
    """Parse ``1,2,5``; raise QueryError (400) for anything else."""
    if not re.fullmatch(r"[1-9][0-9]{0,8}(,[1-9][0-9]{0,8})*", text) or text.count(",") >= _MAX_FRAMES:
        raise QueryError(f"expected frame numbers from 1, with commas between them, got {text[:40]!r}")
    return [int(number) for number in text.split(",")]


def window(text: str | None) -> tuple[float, float] | None:
    """Parse ``centre,width[,linear]``."""
    if text is None:
        return None
    parts = text.split(",")
    if len(parts) not in (2, 3) or not all(re.fullmatch(_NUMBER, part) for part in parts[:2]):
        raise QueryError(f"expected window=centre,width, got {text[:40]!r}")
    return float(parts[0]), float(parts[1])


def viewport(text: str | None) -> tuple[int, int] | None:
    """Parse ``width,height``; a source region after them is not supported."""
    if text is None:
        return None
    parts = text.split(",")
    if len(parts) != 2 or not all(re.fullmatch(r"[1-9][0-9]{0,4}", part) for part in parts):
        raise QueryError(f"expected viewport=width,height, got {text[:40]!r}")
    return min(int(parts[0]), _MAX_VIEWPORT), min(int(parts[1]), _MAX_VIEWPORT)
