"""Work for a client that may hang up: a browser tab that was closed, a viewer that asked again."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import Request

from tumorseg.errors import TumorSegError

T = TypeVar("T")


class GoneError(TumorSegError):
    """The client hung up before its answer was there; nobody reads the status (499, as nginx logs it)."""

    status = 499


async def unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Do the work for as long as the client waits for it; its body must have been read.

    Raises:
        GoneError: the client hung up; the work was cancelled and has ended.
    """
    doing = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_hang_up(request))
    try:
        await asyncio.wait({doing, gone}, return_when=asyncio.FIRST_COMPLETED)
        if doing.done():
            return doing.result()
    finally:
        for task in (doing, gone):
            if not task.done():
                task.cancel()
        await asyncio.wait({doing, gone})
    raise GoneError("the client hung up")


async def _hang_up(request: Request) -> None:
    """Return when the client is gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
