"""How much a request may bring, and how slowly: counted while it arrives, before anything else is done with it.

Plain ASGI, around everything that reads a body. A body that is too large, too slow or for which the disk has no room
is answered at once; the application is told that the client is gone, and what it kept so far is removed.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from tumorseg.config import AppConfig

_MEGABYTE = 1 << 20
#: Forms with files, and STOW-RS; everything else is text.
_LARGE_KINDS = (b"multipart/form-data", b"multipart/related")
#: A body beyond this is an upload and takes one of the places for uploads.
_SMALL = _MEGABYTE
#: How often the room on the disk is looked at while a body arrives, bytes.
_LOOK_EVERY = 64 * _MEGABYTE
_GONE: Message = {"type": "http.disconnect"}


@dataclass(frozen=True)
class Limits:
    """What is taken.

    Attributes:
        upload: bytes of a request with files.
        text: bytes of any other request.
        uploads: large requests that may arrive at the same time.
        patience_s: how long nothing may arrive, and after which the slowest pace counts.
        pace: bytes a second that a client has to send on average after that.
        room: bytes that stay free on the disk.
        folder: where files that arrive are kept.
    """

    folder: Path
    upload: int = 2048 * _MEGABYTE
    text: int = _MEGABYTE
    uploads: int = 16
    patience_s: float = 60.0
    pace: int = 16 << 10
    room: int = 256 * _MEGABYTE

    @classmethod
    def of(cls, config: AppConfig) -> Limits:
        """Take what is configured."""
        return cls(config.cache, upload=config.max_upload_mb * _MEGABYTE, patience_s=config.upload_timeout_s)


class BodyLimit:
    """The middleware."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self.app, self.limits = app, limits
        self.arriving = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its body counted."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        body = _Body(self, headers, receive, send)
        if b"content-length" in headers and b"transfer-encoding" in headers:
            # Two lengths: what stands before this server may believe the other one, and take the rest for a request.
            await body.refuse(HTTPStatus.BAD_REQUEST, "the request gives two lengths: send one")
            return
        if body.declared and (said := body.objection(body.declared)):
            await body.refuse(*said)
            return
        try:
            await self.app(scope, body.receive, body.send)
        finally:
            body.done()


class _Body:
    """The body of one request while it arrives."""

    def __init__(self, gate: BodyLimit, headers: dict[bytes, bytes], receive: Receive, send: Send) -> None:
        self._gate, self._limits, self._receive, self._send = gate, gate.limits, receive, send
        kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        self.limit = self._limits.upload if kind in _LARGE_KINDS else self._limits.text
        length = headers.get(b"content-length", b"")
        self.declared = int(length) if length.isdigit() and len(length) < 19 else self.limit + 1 if length else 0
        self._received, self._looked, self._waited = 0, 0, 0.0
        self._complete = self._started = self._refused = self._counted = False

    async def receive(self) -> Message:
        """Return the next piece, or that the client is gone where it is not to send more."""
        if self._refused:
            return _GONE
        if self._complete:
            return await self._receive()
        begin = time.monotonic()
        try:
            async with asyncio.timeout(self._time_left()):
                message = await self._receive()
        except TimeoutError:
            return await self.refuse(HTTPStatus.REQUEST_TIMEOUT, "the request came too slowly: send it again")
        self._waited += time.monotonic() - begin  # what the server takes in between is not the client's fault
        if message["type"] != "http.request":
            return message
        self._complete = not message.get("more_body", False)
        self._received += len(message.get("body", b""))
        said = self.objection(self._received)
        return await self.refuse(*said) if said else message

    async def send(self, message: Message) -> None:
        """Pass an answer on, unless the request was refused already."""
        if not self._refused:
            self._started = True
            await self._send(message)

    def objection(self, size: int) -> tuple[HTTPStatus, str] | None:
        """Say why a body of this size is not taken."""
        if size > self.limit:
            most = f"{self.limit / _MEGABYTE:.0f} MB"
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the request is larger than the {most} that this server takes"
        if size <= _SMALL:
            return None
        if not self._counted:
            if self._gate.arriving >= self._limits.uploads:
                return HTTPStatus.SERVICE_UNAVAILABLE, "too many uploads arrive at the moment: try again in a moment"
            self._gate.arriving, self._counted = self._gate.arriving + 1, True
        if size - self._looked >= _LOOK_EVERY or not self._looked:
            self._looked = size
            missing = size - self._received + self._limits.room - _free(self._limits.folder)
            if missing > 0:
                return HTTPStatus.INSUFFICIENT_STORAGE, "the server's disk is full: tell its administrator"
        return None

    async def refuse(self, status: HTTPStatus, why: str) -> Message:
        """Answer, and close the connection: what still comes on it would be taken for the next request."""
        self._refused = True
        self.done()
        if not self._started:
            text = json.dumps({"detail": why}).encode()
            headers = [(b"content-type", b"application/json"), (b"content-length", str(len(text)).encode())]
            headers.append((b"connection", b"close"))
            if status is HTTPStatus.SERVICE_UNAVAILABLE:
                headers.append((b"retry-after", b"5"))
            await self._send({"type": "http.response.start", "status": int(status), "headers": headers})
            await self._send({"type": "http.response.body", "body": text})
        return _GONE

    def done(self) -> None:
        """Give the place among the uploads back."""
        if self._counted:
            self._gate.arriving, self._counted = self._gate.arriving - 1, False

    def _time_left(self) -> float:
        """Return how long the next piece may take, s: as long as the pace so far allows, never beyond the patience."""
        patience = self._limits.patience_s
        return max(0.0, min(patience, patience + self._received / self._limits.pace - self._waited))


def _free(folder: Path) -> int:
    """Return the free bytes of the disk on which a folder lies; where that cannot be told, writing will."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 1 << 62
