"""DICOMweb passed on to an archive, with this server's credentials and for this one address only.

The address is taken apart and put together again from segments of a known form, so neither ``../`` nor a
second host can come of it. Of the headers only what DICOMweb needs goes either way; redirects are refused,
because they would take the credentials elsewhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import IO

import requests
from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response, StreamingResponse

from tumorseg.access.types import Role
from tumorseg.dicom.store.entries import valid_uid
from tumorseg.dicom.store.query import QueryError
from tumorseg.dicom.store.remote import CONNECT_SECONDS, READ_SECONDS, RemoteStore
from tumorseg.server.rules import rule
from tumorseg.server.uploads import receive_body

_LEVELS = ("studies", "series", "instances")
_ROOTS = {*_LEVELS, "bulkdata"}
_NOT_UIDS = {*_LEVELS, "metadata", "rendered", "thumbnail"}
# What follows a resource: metadata, frames, 1,2, rendered, bulk, 7fe00010 ...; never only dots.
_SEGMENT = re.compile(r"(?!\.+$)[A-Za-z0-9._,~-]{1,128}")
_MAX_SEGMENTS = 24
_ASKED = ("accept", "content-type", "if-none-match")
_ANSWERED = ("content-type", "content-length", "warning", "etag", "last-modified")
_PIECE = 1 << 16
#: Answers of the archive that say something about the request; all others are about the archive.
_PASSED_ERRORS = {400, 404, 406, 409, 410, 413, 415, 422}


def service(store: RemoteStore, max_upload: int) -> APIRouter:
    """Build the routes of an archive."""
    routes = APIRouter()

    @routes.get("/{path:path}", summary="Search and retrieve at the DICOMweb archive (QIDO-RS, WADO-RS)")
    @rule(Role.VIEWER, "dicom.read")
    def get(request: Request, path: str) -> Response:
        return _pass_on(store, request, _checked(path), None)

    @routes.post("/{path:path}", summary="Store at the DICOMweb archive (STOW-RS)")
    @rule(Role.ANNOTATOR, "dicom.store")
    async def post(request: Request, path: str) -> Response:
        resource = _checked(path)
        if resource.split("/")[0] != "studies" or resource.count("/") > 1:
            raise QueryError("expected POST to studies or studies/<StudyInstanceUID>")
        with await receive_body(request, max_upload) as body:
            return await run_in_threadpool(_pass_on, store, request, resource, body)

    return routes


def _checked(path: str) -> str:
    """Return the resource's path when every segment is one of DICOMweb's; raise QueryError (400) otherwise."""
    segments = path.strip("/").split("/")
    known = len(segments) <= _MAX_SEGMENTS and segments[0] in _ROOTS and all(map(_SEGMENT.fullmatch, segments))
    uids = [uid for level, uid in pairwise(segments) if level in _LEVELS and uid not in _NOT_UIDS]
    if not known or not all(map(valid_uid, uids)):
        raise QueryError(f"no DICOMweb resource is called {path[:100]!r}")
    return "/".join(segments)


def _pass_on(store: RemoteStore, request: Request, resource: str, body: IO[bytes] | None) -> Response:
    """Ask the archive and hand its answer on."""
    headers = {name: request.headers[name] for name in _ASKED if name in request.headers}
    headers["accept-encoding"] = "identity"
    try:
        answer = store.session.request(
            request.method,
            f"{store.name}/{resource}{_query(request)}",
            headers=headers,
            data=body,
            stream=True,
            allow_redirects=False,
            timeout=(CONNECT_SECONDS, READ_SECONDS),
        )
    except requests.Timeout:
        return _error(504, "the archive did not answer in time")
    except requests.RequestException as error:
        return _error(502, f"the archive cannot be reached ({type(error).__name__})")
    if answer.status_code >= 300 and not (answer.status_code == 409 and body is not None):
        answer.close()
        return _refusal(answer.status_code)
    kept = {name: answer.headers[name] for name in _ANSWERED if name in answer.headers}
    kept["cache-control"] = "no-store"
    if "json" in kept.get("content-type", ""):
        return _with_own_addresses(store, request, answer, kept)
    return StreamingResponse(_stream(answer), answer.status_code, headers=kept)


def _refusal(status: int) -> Response:
    """Say what an answer without success means."""
    if status == 304:
        return Response(status_code=304)
    if status in _PASSED_ERRORS:
        return _error(status, f"the archive answered {status}")
    if status in (401, 403):  # to the browser it would look as if it had to log in here
        return _error(502, f"the archive refuses this server's credentials ({status})")
    if status == 504:
        return _error(504, "the archive waited in vain for another server")
    return _error(502, f"the archive answered {status}")


def _with_own_addresses(
    store: RemoteStore, request: Request, answer: requests.Response, kept: dict[str, str]
) -> Response:
    """Turn the archive's addresses in a JSON answer (bulk data) into ours: a browser cannot reach its own."""
    try:
        content = answer.content
    except requests.RequestException as error:
        return _error(502, f"the archive broke off ({type(error).__name__})")
    path = request.url.path
    own = path[: -len(request.path_params["path"])].rstrip("/")
    content = content.replace(json.dumps(store.name)[1:-1].encode() + b"/", own.encode() + b"/")
    kept.pop("content-length", None)
    return Response(content, answer.status_code, headers=kept)


def _stream(answer: requests.Response) -> Iterator[bytes]:
    try:
        yield from answer.raw.stream(_PIECE, decode_content=False)
    finally:
        answer.close()


def _query(request: Request) -> str:
    """Return the query string as it came: an archive may know ``*`` and not ``%2A``."""
    text = request.scope["query_string"].decode("ascii", "replace")
    return f"?{text}" if text else ""


def _error(status: int, text: str) -> Response:
    return JSONResponse({"detail": text}, status_code=status)
