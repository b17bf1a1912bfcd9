"""Errors as answers: ours with their status and message, unexpected ones with a number to look up in the log."""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import sysconfig
import tempfile
import uuid
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tumorseg.errors import StorageError, TumorSegError, UnavailableError
from tumorseg.server.observe import template

logger = logging.getLogger(__name__)
_MOST_ERRORS = 20
#: Where the code lies: ours, that of libraries, Python's.
_CODE = (Path(__file__).parents[1], sysconfig.get_path("purelib"), sysconfig.get_path("stdlib"))
# What the system says of a disk -> what an answer says; the file is named in the log only.
_DISK = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "no space is left on a disk of the server: free some"),
    **dict.fromkeys((errno.ENOENT, errno.ENOTDIR, errno.ESTALE), "a file of the server is gone: put it back"),
    errno.EROFS: "a disk of the server is read-only: make it writable",
    **dict.fromkeys((errno.EACCES, errno.EPERM), "the server may not use one of its files: give it the permission"),
    errno.EIO: "a disk of the server fails: check it",
}


def install(app: FastAPI) -> None:
    """Make the application answer errors as JSON ``{"detail": …}``."""
    app.add_exception_handler(TumorSegError, _spoken)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(OSError, _of_the_system)
    app.add_exception_handler(Exception, _unexpected)


async def _spoken(request: Request, error: Exception) -> JSONResponse:
    """Answer an error that the caller can do something about."""
    status = error.status if isinstance(error, TumorSegError) else 500
    wait = error.retry_after if isinstance(error, UnavailableError) else None
    headers = None if wait is None else {"Retry-After": str(wait)}
    return JSONResponse(
        {"detail": _sendable(without_folders(str(error), request))}, status_code=status, headers=headers
    )


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    """Say which part of a request is not as described.

    What was sent is not repeated, as the framework would: it may be a secret, huge, or no text that can be sent.
    """
    assert isinstance(error, RequestValidationError)
    detail = [{key: one[key] for key in ("type", "loc", "msg") if key in one} for one in error.errors()[:_MOST_ERRORS]]
    for one in detail:
        if one["loc"] == ("body",):  # all of it: the framework names neither JSON nor its header
            one["msg"] = "expected a JSON object as the body, with the header Content-Type: application/json"
    whole = _sendable(json.dumps(detail, ensure_ascii=False, default=str))
    return JSONResponse({"detail": json.loads(whole)}, status_code=422)


def _sendable(message: str) -> str:
    """Return a text that can be sent: it may repeat a name that was sent, and that half a letter."""
    return message.encode("utf-8", "replace").decode("utf-8")


async def _of_the_system(request: Request, error: Exception) -> JSONResponse:
    """Answer what a disk did to a request that nobody translated on the way; the log has the file."""
    assert isinstance(error, OSError)
    said = _DISK.get(error.errno or 0)
    if said is None:
        return await _unexpected(request, error)
    # With where it happened: a missing file may as well be a mistake of ours.
    logger.error("%s in %s %s", error, request.method, template(request.scope), exc_info=error)
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return await _spoken(request, StorageError(f"{said}, and send it again (the server's log names it)", full=full))


def without_folders(message: str, request: Request) -> str:
    """Name files as they are called within the studies: where the server keeps them is nobody's business."""
    place, sent = request.app.state.workplace, re.escape(f"{request.app.state.scratch.folder}{os.sep}")
    config, labels = place.config, place.datastore.labels.root
    message = re.sub(rf"{sent}\w+{re.escape(os.sep)}", "", message)  # what the request brought
    for folder in (labels, config.studies, config.cache, config.state, tempfile.gettempdir(), *_CODE):
        message = message.replace(f"{folder}{os.sep}", "").replace(f"{folder}:", f"{Path(folder).name}:")
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
            tell = _of_the_system if isinstance(error, OSError) else _unexpected
            answer = await tell(Request(scope), error)
            await answer(scope, receive, send)


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    """Log what nobody foresaw, and tell the caller nothing but where to find it."""
    number = uuid.uuid4().hex[:8]
    logger.error("error %s in %s %s", number, request.method, template(request.scope), exc_info=error)
    return JSONResponse({"detail": f"internal error {number}: see the server's log"}, status_code=500)
