"""``GET /info/`` and ``POST /infer/{model}``."""

from __future__ import annotations

import json
import uuid
from collections.abc import Coroutine
from contextlib import ExitStack
from dataclasses import replace
from enum import StrEnum
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Request, UploadFile
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response

from tumorseg.access.types import Principal, Role
from tumorseg.adapters.inference.subject import Subject
from tumorseg.adapters.params import DetectionParams, SegmentationParams, form_schema, read_object
from tumorseg.adapters.wire import InferResult, parse_params
from tumorseg.adapters.workplace import Workplace
from tumorseg.errors import InputError
from tumorseg.server import clicks
from tumorseg.server.common import Place, caller_of, received
from tumorseg.server.datastore import holder
from tumorseg.server.forms import UploadRoute
from tumorseg.server.gone import unless_gone
from tumorseg.server.rules import Caller, rule
from tumorseg.server.session import OwnSessions, Sessions
from tumorseg.server.shared import Shared

router = APIRouter(tags=["segmentation"], route_class=UploadRoute)


class Output(StrEnum):
    """What the answer holds; the names are MONAI Label's."""

    image = "image"
    json = "json"
    all = "all"
    dicom_seg = "dicom_seg"


@router.get("/info/", summary="What is served: models, labels, strategies, number of images")
@rule(Role.VIEWER)
async def info(request: Request) -> Response:
    """Describe the server as the viewers' selectors need it."""
    said: Shared[bytes] = request.app.state.info
    return Response(await said(), media_type="application/json")


def describe(place: Workplace) -> bytes:
    """Return what ``GET /info/`` answers."""
    return json.dumps(place.info(), ensure_ascii=False, separators=(",", ":")).encode()


@router.post("/infer/{model}", summary="Segment an image of the data store or of a session")
@rule(Role.ANNOTATOR, "infer")
async def infer(
    request: Request,
    place: Place,
    sessions: Sessions,
    who: Caller,
    model: str,
    image: str = "",
    session_id: str = "",
    params: Annotated[str, Form(json_schema_extra=form_schema(SegmentationParams, DetectionParams))] = "{}",
    file: Annotated[UploadFile | None, File()] = None,
    label: Annotated[UploadFile | None, File()] = None,
    output: Output = Output.all,
) -> Response:
    """Segment ``image`` (an id, never a path), the image of a session, or the file sent along.

    The answer is the label map (``output=image``), its description (``json``) or both as
    ``multipart/form-data`` (``all``), on the grid of exactly the image that was asked for. Models that find objects
    describe them under ``detections``, and send them as boxes instead of the label map where ``params`` asks for the
    ``result_extension`` ``.json``, or for ``boxes`` in the answer of both; ``decided`` leaves out what the caller
    dropped before (``/detections``).

    To an interactive model ``params`` say what was clicked, in the dialects of MONAI Label's clients, and ``label`` is
    the label map with strokes (docs/interactive.md); every other model refuses both.

    While others wait, callers take turns; where too many wait the answer is 503 with ``Retry-After``. Hanging up gives
    up the work.
    """
    require_offered(output)
    if not (image or session_id or file):
        raise InputError("expected an image id, a session_id or a file: nothing was named")
    brought = ExitStack()  # what the request brought stays until its work is over or given up
    opening = partial(_open, brought, place, sessions, image, session_id, file)
    own = bool(session_id) or file is not None
    if model in place.interactive.models:
        asked = clicks.infer(
            request,
            place,
            who,
            model,
            opening,
            brought,
            image="" if own else image,
            keep=file is None,
            params=params,
            label=label,
        )
        return respond(await _done(asked, brought if own else None), output)
    if label is not None:
        raise InputError(f"{model!r:.60} takes no label as input: leave the part 'label' out, or ask a scribbles model")
    wanted = parse_params(params)
    if output is Output.image:
        wanted = replace(wanted, boxes=False)
    if wanted.decided and image and not session_id and file is None:
        wanted = replace(wanted, leave_out=await run_in_threadpool(_refused, place, model, image, who, params))
    work = place.engine.infer_async(model, opening, wanted, caller_of(request, who))
    result = await _done(unless_gone(request, work), brought if own else None)
    if image and not session_id and file is None:
        name = holder(who, read_object(params, "params"))
        place.detections.remember(result)
        if output is Output.json:
            place.effort.looked(image, name)
        else:
            place.effort.proposed(image, name, result)
    return respond(result, output)


def require_offered(output: Output) -> None:
    """Refuse the one form of MONAI Label's that is not given here."""
    if output is Output.dicom_seg:
        raise InputError("DICOM SEG is not offered by this server: ask for output=image, json or all")


async def _done(work: Coroutine[Any, Any, InferResult], brought: ExitStack | None) -> InferResult:
    """Do the work, and then let go what the request brought."""
    try:
        return await work
    finally:
        if brought is not None:
            await run_in_threadpool(brought.close)


def _open(
    brought: ExitStack,
    place: Workplace,
    sessions: OwnSessions,
    image: str,
    session_id: str,
    file: UploadFile | None,
) -> Subject:
    """Find out what is to be looked at; in a thread."""
    if session_id:
        return Subject.of_file(brought.enter_context(sessions.image(session_id)))
    if file is not None:
        return Subject.of_file(brought.enter_context(received(file, place.config.max_upload_mb)))
    return place.engine.of_source(image)


def _refused(place: Workplace, model: str, image: str, who: Principal, params: str) -> frozenset[str]:
    """Return the objects that the caller dropped; in a thread."""
    name = holder(who, read_object(params, "params"))
    return place.detections.refused(model, place.source.entry(image).id, name)


def respond(result: InferResult, output: Output) -> Response:
    """Put the answer into the asked form."""
    if output is Output.json:
        return JSONResponse(result.params)
    if output is Output.image:
        disposition = {"Content-Disposition": f'attachment; filename="{result.name}"'}
        return Response(result.data, media_type="application/octet-stream", headers=disposition)
    boundary = uuid.uuid4().hex
    return Response(_multipart(result, boundary), media_type=f"multipart/form-data; boundary={boundary}")


def _multipart(result: InferResult, boundary: str) -> bytes:
    """Join description and label map as the parts ``params`` and ``image`` (RFC 7578)."""
    params = json.dumps(result.params).encode()
    return b"".join(
        (
            f"--{boundary}\r\n".encode(),
            b'Content-Disposition: form-data; name="params"\r\nContent-Type: application/json\r\n\r\n',
            params,
            f"\r\n--{boundary}\r\n".encode(),
            f'Content-Disposition: form-data; name="image"; filename="{result.name}"\r\n'.encode(),
            b"Content-Type: application/octet-stream\r\n\r\n",
            result.data,
            f"\r\n--{boundary}--\r\n".encode(),
        )
    )
