"""``multipart/related`` as DICOMweb uses it (PS3.18 section 8.6.1): written piece by piece, read from a file."""

from __future__ import annotations

import mmap
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email.message import Message
from typing import IO

from tumorseg.errors import InputError

_MAX_PART_HEADER = 8192


class MultipartError(InputError):
    """A body that is not the multipart message it says it is (HTTP 400)."""

    status = 400


def new_boundary() -> str:
    """Make a boundary that no part will hold."""
    return uuid.uuid4().hex


def content_type(media_type: str, boundary: str) -> str:
    """Return the header value of a message whose parts are of ``media_type``."""
    return f'multipart/related; type="{media_type}"; boundary={boundary}'


def write(parts: Iterable[tuple[str, Iterable[bytes]]], boundary: str) -> Iterator[bytes]:
    """Yield a message of (content type, body pieces) parts."""
    for kind, pieces in parts:
        yield f"--{boundary}\r\nContent-Type: {kind}\r\n\r\n".encode()
        yield from pieces
        yield b"\r\n"
    yield f"--{boundary}--\r\n".encode()


@dataclass(frozen=True)
class MediaType:
    """A parsed media type header, lower case but for the parameters' values."""

    name: str
    parameters: dict[str, str]


def parse_media_type(text: str) -> MediaType:
    """Parse ``multipart/related; type="application/dicom"; boundary=x``."""
    message = Message()
    message["Content-Type"] = text
    parameters = {key.lower(): str(value) for key, value in (message.get_params() or [])[1:]}
    return MediaType(text.partition(";")[0].strip().lower(), parameters)


def read(stream: IO[bytes], boundary: str) -> Iterator[bytes]:
    """Yield the body of each part of the message that the file ``stream`` holds.

    Raises:
        MultipartError: a boundary is missing, so the message is cut off or something else.
    """
    delimiter = b"--" + boundary.encode()
    try:
        data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except ValueError:
        raise MultipartError("expected a multipart message, got an empty body") from None
    with data:
        start = 0 if data[: len(delimiter)] == delimiter else data.find(b"\r\n" + delimiter) + 2
        if start == 1:
            raise MultipartError("expected a multipart message, found no boundary")
        while True:
            start += len(delimiter)
            if data[start : start + 2] == b"--":
                return
            end = data.find(b"\r\n" + delimiter, start)
            if end < 0:
                raise MultipartError("the multipart message is cut off: its last boundary is missing")
            yield _body(data, start, end)
            start = end + 2


def _body(data: mmap.mmap, start: int, end: int) -> bytes:
    """Return what follows the part's header."""
    blank = data.find(b"\r\n\r\n", start, min(end, start + _MAX_PART_HEADER))
    if blank < 0:
        raise MultipartError("a part of the multipart message has no end of its header")
    return data[blank + 4 : end]
