"""Errors as answers: ours with their status and message, unexpected ones with a number to look up in the log."""

from __future__ import annotations

import logging
import os
import tempfile
import uuid
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tumorseg.errors import TumorSegError, UnavailableError

logger = logging.getLogger(__name__)
_PACKAGE = Path(__file__).parents[1]


def install(app: FastAPI) -> None:
    """Make the application answer errors as JSON ``{"detail": …}``."""
    app.add_exception_handler(TumorSegError, _spoken)
    app.add_exception_handler(Exception, _unexpected)


async def _spoken(request: Request, error: Exception) -> JSONResponse:
    """Answer an error that the caller can do something about."""
    status = error.status if isinstance(error, TumorSegError) else 500
    wait = error.retry_after if isinstance(error, UnavailableError) else None
    headers = None if wait is None else {"Retry-After": str(wait)}
    return JSONResponse({"detail": _without_folders(str(error), request)}, status_code=status, headers=headers)


def _without_folders(message: str, request: Request) -> str:
    """Name files as they are called within the studies: where the server keeps them is nobody's business."""
    config = request.app.state.workplace.config
    for folder in (config.studies, config.cache, config.labels, config.state, tempfile.gettempdir(), _PACKAGE):
        message = message.replace(f"{folder}{os.sep}", "") if folder else message
    return message


class Unexpected:
    """Answers what nobody foresaw inside of the other middlewares, so that this answer too passes all of them."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        started = False

        async def noting(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, noting)
        except Exception as error:
            if started or scope["type"] != "http":
                raise
            answer = await _unexpected(Request(scope), error)
            await answer(scope, receive, send)


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    """Log what nobody foresaw, and tell the caller nothing but where to find it."""
    number = uuid.uuid4().hex[:8]
    logger.error("error %s in %s %s", number, request.method, request.url.path, exc_info=error)
    return JSONResponse({"detail": f"internal error {number}: see the server's log"}, status_code=500)
