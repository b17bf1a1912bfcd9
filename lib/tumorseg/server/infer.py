"""``GET /info/`` and ``POST /infer/{model}``."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Request, UploadFile
from fastapi.responses import JSONResponse, Response

from tumorseg.access.types import Role
from tumorseg.adapters.wire import InferResult, ResultFormat, parse_params
from tumorseg.adapters.workplace import Workplace
from tumorseg.errors import InputError
from tumorseg.server.common import Place, received
from tumorseg.server.forms import UploadRoute
from tumorseg.server.rules import rule
from tumorseg.server.session import Sessions

router = APIRouter(tags=["segmentation"], route_class=UploadRoute)


class Output(StrEnum):
    """What the answer holds; the names are MONAI Label's."""

    image = "image"
    json = "json"
    all = "all"
    dicom_seg = "dicom_seg"


@router.get("/info/", summary="What is served: models, labels, strategies, number of images")
@rule(Role.VIEWER)
def info(place: Place) -> dict[str, Any]:
    """Describe the server as the viewers' selectors need it."""
    return place.info()


@router.post("/infer/{model}", summary="Segment an image of the data store or of a session")
@rule(Role.ANNOTATOR, "infer")
def infer(
    request: Request,
    place: Place,
    sessions: Sessions,
    model: str,
    image: str = "",
    session_id: str = "",
    params: Annotated[str, Form()] = "{}",
    file: Annotated[UploadFile | None, File()] = None,
    label: Annotated[UploadFile | None, File()] = None,
    output: Output = Output.all,
) -> Response:
    """Segment ``image`` (an id, never a path), the image of a session, or the file sent along.

    The answer is the label map (``output=image``), its description (``json``) or both as
    ``multipart/form-data`` (``all``), on the grid of exactly the image that was asked for. Models that find objects
    describe them under ``detections``, and send them as boxes instead of the label map where ``params`` asks for the
    ``result_extension`` ``.json``, or for ``boxes`` in the answer of both.
    """
    if label is not None:
        raise InputError("no served model takes a label as input: leave the part 'label' out")
    if output is Output.dicom_seg:
        raise InputError("DICOM SEG is not offered by this server: ask for output=image, json or all")
    wanted = parse_params(params)
    if output is Output.image:
        wanted = replace(wanted, boxes=False)
    return _respond(_run(place, sessions, model, image, session_id, wanted, file), output)


def _run(
    place: Workplace,
    sessions: Sessions,
    model: str,
    image: str,
    session_id: str,
    wanted: ResultFormat,
    file: UploadFile | None,
) -> InferResult:
    """Find out what is to be segmented and do it."""
    if session_id:
        with sessions.image(session_id) as path:
            return place.engine.infer_file(model, path, wanted)
    if file is not None:
        with received(file, place.config.max_upload_mb) as path:
            return place.engine.infer_file(model, path, wanted)
    if not image:
        raise InputError("expected an image id, a session_id or a file: nothing was named")
    return place.engine.infer(model, image, wanted)


def _respond(result: InferResult, output: Output) -> Response:
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
