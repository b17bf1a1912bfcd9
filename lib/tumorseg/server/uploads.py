"""Receiving a large request body without holding it in memory or stalling the event loop."""

from __future__ import annotations

import tempfile
from typing import IO, TYPE_CHECKING

from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from tumorseg.errors import TumorSegError

if TYPE_CHECKING:
    from tumorseg.server.scratch import Scratch


class TooLargeError(TumorSegError):
    """A request beyond the configured limit (HTTP 413)."""

    status = 413


async def receive_body(request: Request, limit: int) -> IO[bytes]:
    """Write the body to an unnamed temporary file, which the caller closes.

    Raises:
        TooLargeError: it has more than ``limit`` bytes.
    """
    too_large = TooLargeError(f"the request is larger than the {limit >> 20} MB that this server takes")
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise too_large
    scratch: Scratch | None = getattr(request.app.state, "scratch", None)
    folder = await run_in_threadpool(scratch.own) if scratch is not None else None
    # It has no name: whatever becomes of the server, nothing of it stays.
    stream = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - the caller closes it
    try:
        received = 0
        async for piece in request.stream():
            received += len(piece)
            if received > limit:
                raise too_large
            await run_in_threadpool(stream.write, piece)
        stream.flush()
        stream.seek(0)
    except BaseException:
        stream.close()
        raise
    return stream
