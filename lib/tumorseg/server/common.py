"""What several routes share: the workplace of the application, and files that a request brings."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, Request, UploadFile

from tumorseg.adapters.sources import IMAGE_SUFFIXES, suffix_of
from tumorseg.adapters.workplace import Workplace
from tumorseg.errors import InputError

_MEGABYTE = 1 << 20


async def _workplace(request: Request) -> Workplace:
    found: Workplace = request.app.state.workplace
    return found


#: A route's parameter of this type is the application's workplace.
Place = Annotated[Workplace, Depends(_workplace)]


@contextmanager
def received(upload: UploadFile, limit_mb: int) -> Iterator[Path]:
    """Keep an uploaded file in a temporary folder of its own while the block runs.

    Of the name that the client sent only a known ending is used.

    Raises:
        InputError: an ending that is none of an image, no content, or more than the limit.
    """
    suffix = suffix_of(Path(str(upload.filename or "")))
    if suffix not in (*IMAGE_SUFFIXES, ".seg.nrrd", ".dcm"):
        raise InputError(f"expected a file ending in {', '.join(IMAGE_SUFFIXES)}, got {suffix or 'none'!r}")
    with tempfile.TemporaryDirectory(prefix="tumorseg-") as folder:
        path = Path(folder) / f"upload{suffix}"
        save_upload(upload, path, limit_mb)
        yield path


def save_upload(upload: UploadFile, path: Path, limit_mb: int) -> None:
    """Write an uploaded file to ``path``, refusing an empty or an oversized one."""
    size = upload.file.seek(0, 2)
    upload.file.seek(0)
    if size == 0:
        raise InputError("the file sent is empty (0 bytes)")
    if size > limit_mb * _MEGABYTE:
        raise InputError(f"expected a file of at most {limit_mb} MB, got {size / _MEGABYTE:.0f} MB")
    with path.open("wb") as file:
        shutil.copyfileobj(upload.file, file)


def json_object(text: str, what: str) -> dict[str, Any]:
    """Read a form field that holds a JSON object."""
    try:
        value = json.loads(text or "{}")
    except ValueError as error:
        raise InputError(f"expected {what} to be a JSON object, got text that is no JSON ({error})") from None
    if not isinstance(value, dict):
        raise InputError(f"expected {what} to be a JSON object, got {type(value).__name__}")
    return value
