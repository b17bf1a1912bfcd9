"""What several routes share: the workplace of the application, and files that a request brings."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, Request, UploadFile

from tumorseg.access.types import Principal
from tumorseg.adapters.params import read_object
from tumorseg.adapters.sources import IMAGE_SUFFIXES, suffix_of
from tumorseg.adapters.workplace import Workplace
from tumorseg.errors import InputError
from tumorseg.io.guard.check import check_file
from tumorseg.server.forms import Kept

_MEGABYTE = 1 << 20


async def _workplace(request: Request) -> Workplace:
    found: Workplace = request.app.state.workplace
    return found


#: A route's parameter of this type is the application's workplace.
Place = Annotated[Workplace, Depends(_workplace)]


def caller_of(request: Request, who: Principal) -> str:
    """Return who takes turns with others."""
    return f"{who.name} {request.client.host if request.client else ''}"


@contextmanager
def received(upload: UploadFile, limit_mb: int, stem: str = "upload") -> Iterator[Path]:
    """Give an uploaded image as a file for as long as the block runs, having looked at what it would unpack to.

    Of the name that the client sent only a known ending is used, behind ``stem``: a request that brings two files has
    both in one folder.

    Raises:
        InputError: an ending that is none of an image, no content, more than the limit, or something that no reader
            should be shown.
    """
    suffix = suffix_of(Path(str(upload.filename or "")))
    if suffix not in (*IMAGE_SUFFIXES, ".seg.nrrd", ".dcm"):
        raise InputError(f"expected a file ending in {', '.join(IMAGE_SUFFIXES)}, got {suffix or 'none'!r}")
    kept = kept_file(upload, limit_mb)
    path = kept.path.with_name(f"{stem}{suffix}")
    os.replace(kept.path, path)
    check_file(path, kept.decoded)
    yield path


def kept_file(upload: UploadFile, limit_mb: int) -> Kept:
    """Return an uploaded file as it lies in the request's folder, refusing an empty or an oversized one."""
    kept = upload.file
    if not isinstance(kept, Kept):
        raise TypeError("expected a file of tumorseg.server.forms: its route needs route_class=UploadRoute")
    if kept.size == 0:
        raise InputError("the file sent is empty (0 bytes)")
    if kept.size > limit_mb * _MEGABYTE:
        raise InputError(f"expected a file of at most {limit_mb} MB, got {kept.size / _MEGABYTE:.0f} MB")
    return kept


def json_object(text: str, what: str) -> dict[str, Any]:
    """Read a form field that holds a JSON object."""
    return read_object(text, what)
