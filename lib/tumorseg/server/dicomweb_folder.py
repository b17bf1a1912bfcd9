"""QIDO-RS, WADO-RS and STOW-RS over a folder of DICOM files (PS3.18 sections 10.4 to 10.6)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response, StreamingResponse

from tumorseg.access.types import Role
from tumorseg.dicom.store import frames
from tumorseg.dicom.store.cache import ByteCache
from tumorseg.dicom.store.catalog import InstanceNode
from tumorseg.dicom.store.entries import valid_uid
from tumorseg.dicom.store.folder import FolderStore
from tumorseg.dicom.store.metadata import read_bulkdata, read_metadata
from tumorseg.dicom.store.query import QueryError, parse_query
from tumorseg.server import accept, multipart, stow
from tumorseg.server.rules import rule
from tumorseg.server.uploads import receive_body

DICOM_JSON = "application/dicom+json"
_OCTETS = "application/octet-stream"
_METADATA_BYTES = 128 << 20
_PIECE = 1 << 20
# Patients' data stays out of the browser's disk cache.
_HEADERS = {"Cache-Control": "no-store"}
_THUMBNAIL = (128, 128)


class Place:
    """The study, series and instance that an address names: a dependency that answers 400 to what is no UID."""

    def __init__(self, request: Request) -> None:
        named = request.path_params
        self.study, self.series, self.instance = (named.get(level) for level in ("study", "series", "instance"))
        for uid in (self.study, self.series, self.instance):
            if uid is not None and not valid_uid(uid):
                raise QueryError(f"expected a UID (digits and dots, at most 64), got {uid[:80]!r}")
        path = request.url.path
        #: The address of the service, for example ``/proxy/dicom/wado``.
        self.base = path[: path.index("/studies")] if "/studies" in path else ""

    def found(self, store: FolderStore) -> list[InstanceNode]:
        """Return the named instances; raise NotFoundError where there are none."""
        return store.instances(self.study or "", self.series, self.instance)

    def address(self, node: InstanceNode) -> str:
        """Return an instance's address without the host, so that it also holds behind a proxy with TLS."""
        return f"{self.base}/studies/{self.study}/series/{node.series_uid}/instances/{node.sop_uid}"


At = Annotated[Place, Depends(Place)]
_STUDY = "/studies/{study}"
_SERIES = _STUDY + "/series/{series}"
_INSTANCE = _SERIES + "/instances/{instance}"


def service(store: FolderStore, max_upload: int, max_decoded: int) -> APIRouter:
    """Build the routes of a folder."""
    routes = APIRouter()
    _add_search(routes, store)
    _add_metadata(routes, store)
    _add_retrieval(routes, store)
    _add_frames(routes, store)
    _add_pictures(routes, store)
    _add_store(routes, store, max_upload, max_decoded)
    return routes


def _add_search(routes: APIRouter, store: FolderStore) -> None:
    def searcher(level: str) -> Callable[..., Response]:
        @rule(Role.VIEWER, "dicom.search")
        def search(request: Request, at: At) -> Response:
            query = parse_query(request.query_params.multi_items())
            found, more = store.search(level, query, at.study, at.series)
            warnings = list(query.warnings) + ([f"There are {more} additional results"] if more else [])
            headers = {**_HEADERS, "Warning": ", ".join(f'299 tumorseg "{text}"' for text in warnings)}
            return Response(json.dumps(found), media_type=DICOM_JSON, headers=headers if warnings else _HEADERS)

        return search

    for level in ("studies", "series", "instances"):
        routes.add_api_route(f"/{level}", searcher(level), summary=f"Search {level} (QIDO-RS)")
    routes.add_api_route(_STUDY + "/series", searcher("series"), summary="Search the series of a study (QIDO-RS)")
    for path in (_STUDY, _SERIES):
        routes.add_api_route(f"{path}/instances", searcher("instances"), summary="Search instances (QIDO-RS)")


def _add_metadata(routes: APIRouter, store: FolderStore) -> None:
    cache = ByteCache(_METADATA_BYTES)

    def one(at: Place, node: InstanceNode) -> bytes:
        path, address = store.root / node.path, at.address(node)
        status = path.stat()
        return cache.get((address, status.st_size, status.st_mtime_ns), lambda: read_metadata(path, address))

    @rule(Role.VIEWER, "dicom.read")
    def metadata(at: At) -> Response:
        body = b"[" + b",".join(one(at, node) for node in at.found(store)) + b"]"
        return Response(body, media_type=DICOM_JSON, headers=_HEADERS)

    for path in (_STUDY, _SERIES, _INSTANCE):
        routes.add_api_route(f"{path}/metadata", metadata, summary="Headers as JSON (WADO-RS)")


def _add_retrieval(routes: APIRouter, store: FolderStore) -> None:
    @rule(Role.VIEWER, "dicom.read")
    def retrieve(request: Request, at: At) -> Response:
        found = at.found(store)
        accept.require_dicom(request.headers.get("accept", ""), {frames.syntax_of(node) for node in found})
        boundary = multipart.new_boundary()
        parts = ((f"application/dicom; transfer-syntax={frames.syntax_of(node)}", _pieces(store.root / node.path))
                 for node in found)  # fmt: skip
        return _stream(multipart.write(parts, boundary), "application/dicom", boundary)

    for path in (_STUDY, _SERIES, _INSTANCE):
        routes.add_api_route(path, retrieve, summary="DICOM files (WADO-RS)")


def _add_frames(routes: APIRouter, store: FolderStore) -> None:
    @routes.get(_INSTANCE + "/frames/{numbers}", summary="Single frames (WADO-RS)")
    @rule(Role.VIEWER, "dicom.read")
    def some(request: Request, at: At, numbers: str) -> Response:
        return _frames(store.root / at.found(store)[0].path, accept.frame_numbers(numbers), request)

    @routes.get(_INSTANCE + "/frames", summary="All frames (WADO-RS)")
    @rule(Role.VIEWER, "dicom.read")
    def every(request: Request, at: At) -> Response:
        path = store.root / at.found(store)[0].path
        return _frames(path, list(range(1, frames.layout(path).n_frames + 1)), request)

    @routes.get(_INSTANCE + "/bulkdata/{address:path}", summary="A large value of the header (WADO-RS)")
    @rule(Role.VIEWER, "dicom.read")
    def bulkdata(at: At, address: str) -> Response:
        value = read_bulkdata(store.root / at.found(store)[0].path, address)
        boundary = multipart.new_boundary()
        return _stream(multipart.write([(_OCTETS, [value])], boundary), _OCTETS, boundary)


def _frames(path: Path, numbers: list[int], request: Request) -> Response:
    """Answer frames as stored where the client takes that transfer syntax, else as explicit little endian."""
    where = frames.layout(path)
    for number in numbers:
        frames.require_frame(path, number)
    as_stored = accept.as_stored(request.headers.get("accept", ""), where)
    syntax = where.transfer_syntax if as_stored else frames.EXPLICIT_LITTLE_ENDIAN
    kind = frames.MEDIA_TYPES.get(syntax, _OCTETS)
    read = frames.stored_frame if as_stored else frames.native_frame
    boundary = multipart.new_boundary()
    first = read(path, numbers[0])  # a frame that cannot be decoded is still an error and not half an answer
    rest = (read(path, number) for number in numbers[1:])
    parts = ((f"{kind}; transfer-syntax={syntax}", [body]) for body in _chain(first, rest))
    return _stream(multipart.write(parts, boundary), kind, boundary)


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _add_pictures(routes: APIRouter, store: FolderStore) -> None:
    def picture(at: Place, request: Request, number: int | None, size: tuple[int, int] | None) -> Response:
        from tumorseg.dicom.store.render import render

        found = at.found(store)
        path = store.root / found[len(found) // 2].path  # the middle one of a series says most
        number = number or (frames.layout(path).n_frames + 1) // 2
        kind = accept.picture_type(request.headers.get("accept", ""))
        window = accept.window(request.query_params.get("window"))
        size = accept.viewport(request.query_params.get("viewport")) or size
        return Response(render(path, number, window=window, size=size, media_type=kind), media_type=kind,
                        headers=_HEADERS)  # fmt: skip

    @rule(Role.VIEWER, "dicom.read")
    def rendered(request: Request, at: At) -> Response:
        return picture(at, request, None, None)

    @rule(Role.VIEWER, "dicom.read")
    def thumbnail(request: Request, at: At) -> Response:
        return picture(at, request, None, _THUMBNAIL)

    @rule(Role.VIEWER, "dicom.read")
    def rendered_frame(request: Request, at: At, number: str) -> Response:
        return picture(at, request, accept.frame_numbers(number)[0], None)

    for path in (_STUDY, _SERIES, _INSTANCE):
        routes.add_api_route(f"{path}/rendered", rendered, summary="A picture (WADO-RS)")
        routes.add_api_route(f"{path}/thumbnail", thumbnail, summary="A small picture (WADO-RS)")
    routes.add_api_route(_INSTANCE + "/frames/{number}/rendered", rendered_frame, summary="A frame's picture (WADO-RS)")


def _add_store(routes: APIRouter, store: FolderStore, max_upload: int, max_decoded: int) -> None:
    @rule(Role.ANNOTATOR, "dicom.store")
    async def receive(request: Request, at: At) -> Response:
        boundary = stow.require_boundary(request.headers.get("content-type", ""))
        with await receive_body(request, max_upload) as body:
            status, answer = await run_in_threadpool(stow.keep, store, body, boundary, at.study, at.base, max_decoded)
        return Response(json.dumps(answer), status_code=status, media_type=DICOM_JSON)

    for path in ("/studies", _STUDY):
        routes.add_api_route(path, receive, methods=["POST"], summary="Store DICOM files (STOW-RS)")


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while piece := stream.read(_PIECE):
            yield piece


def _stream(pieces: Iterator[bytes], kind: str, boundary: str) -> Response:
    return StreamingResponse(pieces, media_type=multipart.content_type(kind, boundary), headers=_HEADERS)
