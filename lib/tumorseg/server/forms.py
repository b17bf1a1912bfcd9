"""Forms with files, written to the request's own folder as they arrive.

The framework's reader keeps every file up to 1 MB in memory and holds every larger one open: a series of a thousand
slices is a gigabyte, or a thousand open files. Here one file is open at a time, nothing is copied twice, and the folder
is removed when the request ends, however it ends.

Concurrency: parsing happens in the event loop and only moves bytes; writing happens in the thread pool.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from fastapi import HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.routing import APIRoute
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.datastructures import FormData, Headers, UploadFile

from tumorseg.server.rules import enforce

if TYPE_CHECKING:
    from starlette.responses import Response

    from tumorseg.server.scratch import Scratch

MAX_FILES, MAX_FIELDS, MAX_FIELD = 20_000, 100, 1 << 20
#: Bytes that are gathered before they are written.
_PIECE = 1 << 20


class Kept(io.RawIOBase):
    """A file that a request brought; opened when it is first read.

    Args:
        path: where it lies until the request ends.
        decoded: bytes that it may unpack to.
    """

    def __init__(self, path: Path, decoded: int) -> None:
        self.path, self.decoded = path, decoded
        self.size = 0

    @cached_property
    def _file(self) -> BinaryIO:
        return self.path.open("rb")

    def readable(self) -> bool:
        """It can be read."""
        return True

    def seekable(self) -> bool:
        """It can be read from any place."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Read into a buffer."""
        return self._file.readinto(buffer)  # type: ignore[attr-defined, no-any-return]

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a place."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the place."""
        return self._file.tell()

    def close(self) -> None:
        """Close the file where it was opened."""
        if "_file" in self.__dict__:
            self._file.close()
        super().close()


@dataclass
class _Part:
    """One part of a form while it arrives."""

    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    name: str = ""
    text: bytearray = field(default_factory=bytearray)
    kept: Kept | None = None


class _Reader:
    """Reads one ``multipart/form-data`` body."""

    def __init__(self, folder: Callable[[], Path], decoded: int) -> None:
        self.items: list[tuple[str, str | UploadFile]] = []
        self.complete = False
        self._folder, self._decoded = folder, decoded
        self._part, self._header, self._value = _Part(), b"", b""
        self._files = self._fields = 0
        self._pending: list[tuple[Kept, bytes]] = []
        self._open: tuple[Kept, BinaryIO] | None = None

    async def read(self, request: Request) -> FormData:
        """Read the whole body.

        Raises:
            HTTPException: this is no such form (400), or it has too many parts (413).
        """
        _, options = parse_options_header(request.headers.get("content-type", ""))
        if not options.get(b"boundary"):
            raise HTTPException(400, "the form names no boundary between its parts")
        parser = MultipartParser(options[b"boundary"], self._callbacks())  # type: ignore[arg-type]
        waiting = 0
        try:
            async for piece in request.stream():
                parser.write(piece)
                waiting += len(piece)
                if waiting >= _PIECE:
                    await run_in_threadpool(self._write)
                    waiting = 0
            parser.finalize()
            await run_in_threadpool(self._write)
        except FormParserError as error:
            raise HTTPException(400, f"the form cannot be read ({str(error)[:200]})") from None
        finally:
            self._close()
        if not self.complete:
            raise HTTPException(400, "the form is cut off: its last boundary is missing")
        return FormData(self.items)

    def _callbacks(self) -> dict[str, Callable[..., None]]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._on_header,
            "on_header_value": self._on_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._start,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_end": self._finish,
        }

    def _begin(self) -> None:
        self._part = _Part()

    def _on_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        self._part.headers.append((self._header.lower(), self._value))
        self._header = self._value = b""

    def _start(self) -> None:
        """Tell a file from a field."""
        disposition = dict(self._part.headers).get(b"content-disposition", b"")
        _, options = parse_options_header(disposition)
        if b"name" not in options:
            raise HTTPException(400, "a part of the form has no name")
        self._part.name = options[b"name"].decode("utf-8", "replace")
        if b"filename" not in options:
            self._fields = _counted(self._fields, MAX_FIELDS, "fields")
            return
        self._files = _counted(self._files, MAX_FILES, "files")
        self._part.kept = Kept(self._folder() / f"part-{self._files:05d}", self._decoded)
        headers, name = Headers(raw=self._part.headers), options[b"filename"].decode("utf-8", "replace")
        self.items.append((self._part.name, UploadFile(self._part.kept, filename=name, headers=headers)))  # type: ignore[arg-type]
        self._pending.append((self._part.kept, b""))  # an empty file is a file too

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._part.kept is not None:
            self._part.kept.size += end - start
            self._pending.append((self._part.kept, data[start:end]))
            return
        if len(self._part.text) + end - start > MAX_FIELD:
            raise HTTPException(413, f"a field of the form is larger than {MAX_FIELD >> 20} MB")
        self._part.text += data[start:end]

    def _end(self) -> None:
        if self._part.kept is None:
            self.items.append((self._part.name, self._part.text.decode("utf-8", "replace")))

    def _finish(self) -> None:
        self.complete = True

    def _write(self) -> None:
        """Write what is pending; one file is open at a time."""
        for kept, data in self._pending:
            if self._open is None or self._open[0] is not kept:
                self._close()
                self._open = kept, kept.path.open("ab")
            self._open[1].write(data)
        self._pending.clear()
        if self._open is not None:
            self._open[1].flush()

    def _close(self) -> None:
        if self._open is not None:
            self._open[1].close()
            self._open = None


def _counted(number: int, most: int, what: str) -> int:
    """Count one more."""
    if number >= most:
        raise HTTPException(413, f"the form has more than {most} {what}")
    return number + 1


class _FormRequest(Request):
    """A request whose form is read by :class:`_Reader`."""

    folder: Callable[[], Path]
    decoded: int

    async def form(self, **limits: object) -> FormData:  # type: ignore[override]
        """Read the form, once."""
        if self._form is None:
            kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind == "multipart/form-data":
                self._form = await _Reader(self.folder, self.decoded).read(self)
            else:
                self._form = await super().form(max_fields=MAX_FIELDS)
        return self._form


class UploadRoute(APIRoute):
    """A route that may bring files: who may not use it is told so before a byte of them is read."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Give the request a folder of its own, for as long as it runs."""
        handle = super().get_route_handler()

        async def bounded(request: Request) -> Response:
            enforce(request)
            scratch: Scratch = request.app.state.scratch
            made: list[Path] = []

            def folder() -> Path:
                if not made:
                    made.append(scratch.new_folder())
                return made[0]

            wrapped = _FormRequest(request.scope, request.receive)
            wrapped.folder = folder
            wrapped.decoded = request.app.state.workplace.config.max_decoded_mb << 20
            try:
                return await handle(wrapped)
            finally:
                for path in made:
                    shutil.rmtree(path, ignore_errors=True)

        return bounded
