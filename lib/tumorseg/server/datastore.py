"""``/datastore/``: images and labels, with MONAI Label's addresses."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request, UploadFile
from fastapi.responses import FileResponse, Response

from tumorseg.access.types import LOCAL, Principal, Role
from tumorseg.adapters.datastore import FINAL
from tumorseg.adapters.workplace import Workplace
from tumorseg.errors import InputError, NotFoundError, UnavailableError
from tumorseg.labels.types import LabelVersion, Provenance
from tumorseg.server.audit import note
from tumorseg.server.common import Place, json_object, received
from tumorseg.server.forms import UploadRoute
from tumorseg.server.request_id import current as current_request
from tumorseg.server.rules import Caller, rule

_LONGEST_HOLDER = 200
router = APIRouter(prefix="/datastore", tags=["images and labels"], route_class=UploadRoute)


class Listing(StrEnum):
    """How much of the store is listed."""

    stats = "stats"
    train = "train"
    all = "all"


@router.get("/", summary="Count or list images and labels", response_model=None)
@rule(Role.VIEWER, "datastore.list")
def listing(place: Place, output: Listing = Listing.stats) -> Any:
    """Count (``stats``), list with all that is known (``all``), or list the labelled pairs (``train``)."""
    if output is Listing.all:
        return place.datastore.json()
    if output is Listing.train:
        return place.datastore.datalist(full_path=False)
    return place.datastore.status()


@router.put("/", include_in_schema=False)
@router.put("/image", summary="Add an image to a folder of files")
@rule(Role.ANNOTATOR, "image.add")
def add_image(place: Place, file: UploadFile, image: str = "", params: Annotated[str, Form()] = "{}") -> dict[str, str]:
    """Keep a new image under the id ``image``; one that is there already is no error if it is the same."""
    said = json_object(params, "params")
    with received(file, place.config.max_upload_mb) as path:
        return {
            "image": place.datastore.add_image(image or Path(str(file.filename)).name.split(".")[0], str(path), said)
        }


@router.head("/image", summary="Check that an image exists and is the same as yours")
@rule(Role.VIEWER)
def check_image(place: Place, image: str, check_sum: str = "") -> Response:
    """Answer 404 where the image does not exist or has another checksum (``SHA256:…``)."""
    path = Path(place.datastore.get_image_uri(image))
    if check_sum and check_sum.rpartition(":")[2].lower() != checksum(path).rpartition(":")[2]:
        raise NotFoundError("the image has another checksum")
    return Response()


@router.get("/image", summary="Download an image as one file")
@rule(Role.VIEWER, "image.read")
def download_image(place: Place, who: Caller, image: str) -> FileResponse:
    """Send the image; a DICOM series comes as NRRD on the grid of its slices."""
    path = Path(place.datastore.get_image_uri(image))
    place.effort.looked(image, holder(who))
    return FileResponse(path, filename=str(place.datastore.get_image_info(image)["name"]))


@router.get("/image/info", summary="What is known about an image")
@rule(Role.VIEWER, "image.read")
def image_info(place: Place, image: str) -> dict[str, Any]:
    """Return name, UIDs and what was noted."""
    return place.datastore.get_image_info(image)


@router.put("/image/info", summary="Note something about an image")
@rule(Role.ANNOTATOR, "image.note")
def put_image_info(place: Place, image: str, info: Annotated[str, Form()] = "{}") -> None:
    """Add to what is noted about an image, for as long as the server runs."""
    place.datastore.update_image_info(image, json_object(info, "info"))


@router.put("/label", summary="Save a label of an image")
@rule(Role.ANNOTATOR, "label.save")
def save_label(
    request: Request,
    response: Response,
    place: Place,
    who: Caller,
    image: str,
    label: UploadFile,
    params: Annotated[str, Form()] = "{}",
    tag: str = FINAL,
    parent: str = "",
) -> dict[str, Any]:
    """Keep a label map under a tag (``final`` counts as done) as a new version; a map of zeros says "no lesion".

    ``params`` says what is known about it: ``label_info``, ``model``, ``model_version``, ``prompts``, ``client_id``.
    With ``parent`` (or the header ``If-Match``) naming the version that the editor loaded, a label that somebody
    else saved meanwhile is answered 409. The same label sent again is the version that is there already.
    """
    said = json_object(params, "params")
    place.source.entry(image)
    provenance, info = made_by(request, who, said)
    with received(label, place.config.max_upload_mb) as path:
        kept = place.datastore.keep_label(
            image, tag or FINAL, path, info, provenance, expected_parent=parent or matched(request)
        )
    place.interactive.prompts.saved(kept, holder(who, said), anyone=who.how == LOCAL.how)
    tell_of(request, place, who, kept, holder(who, said))
    response.headers["ETag"] = _etag(kept)
    return {"image": image, "label": kept.image, "version": kept.uid, "no_lesion": kept.no_lesion}


@router.delete("/label", summary="Remove a label; its versions stay")
@rule(Role.REVIEWER, "label.remove")
def remove_label(request: Request, place: Place, who: Caller, id: str, tag: str) -> dict[str, Any]:
    """Say that an image has no label under one tag from here on; every version can be restored."""
    place.datastore.remove_label(id, tag, made_by(request, who)[0])
    return {}


@router.head("/label", summary="Check that a label exists")
@rule(Role.VIEWER)
def check_label(place: Place, tag: str, label: str = "", image: str = "") -> Response:
    """Answer 404 where there is no such label (older clients call the parameter ``image``)."""
    if not (label or image):
        raise InputError("expected a label id: nothing was named")
    place.datastore.get_label_uri(label or image, tag)
    return Response()


@router.get("/label", summary="Download a label")
@rule(Role.VIEWER, "label.read")
def download_label(
    request: Request, place: Place, label: str, tag: str = "", version: str = "", author: str = ""
) -> Response:
    """Send a label as it was saved: the newest, the newest of one author, or any ``version``.

    The ``ETag`` is the version; with it in ``If-None-Match`` an unchanged label is answered 304.
    """
    labels = place.datastore.labels
    if version:
        found = _named_version(place, label, tag, version)
    else:
        found = labels.head(_id(place, label), tag, author or None)
    headers = {"ETag": _etag(found)}
    if _etag(found) in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return FileResponse(labels.history.path(found), filename=found.name, headers=headers)


@router.get("/label/info", summary="What was said about a label")
@rule(Role.VIEWER, "label.read")
def label_info(place: Place, label: str, tag: str, author: str = "") -> dict[str, Any]:
    """Return what came with the newest label, or the newest of one author: also who made it, when and with what."""
    return place.datastore.labels.info(_id(place, label), tag, author or None)


@router.put("/label/info", summary="Add to what was said about a label")
@rule(Role.ANNOTATOR, "label.note")
def put_label_info(
    request: Request, place: Place, who: Caller, label: str, tag: str, info: Annotated[str, Form()] = "{}"
) -> None:
    """Add to what came with the label, as a new version of the same content."""
    place.datastore.update_label_info(label, tag, json_object(info, "info"), made_by(request, who)[0])


def tell_of(request: Request, place: Workplace, who: Principal, kept: LabelVersion, name: str) -> None:
    """Tell who waits for it of a label that was saved under the name of its holder."""
    if kept.tag == FINAL:
        place.effort.saved(kept, name, anyone=who.how == LOCAL.how)
        place.desk.is_done(kept.image, None if who.how == LOCAL.how else who.name)
        place.learning.label_saved()
    note(request, label=kept.uid, tag=kept.tag)


def holder(who: Principal, said: Mapping[str, Any] | None = None) -> str:
    """Say under which name somebody holds cases: where nobody signs in, the one that their viewer gives itself."""
    client = (said or {}).get("client_id") if who.how == LOCAL.how else None
    # No longer than the next case takes one: names are remembered for as long as somebody works.
    return client[:_LONGEST_HOLDER] if isinstance(client, str) and client.strip() else who.name


def made_by(
    request: Request, who: Principal, said: Mapping[str, Any] | None = None
) -> tuple[Provenance, dict[str, Any]]:
    """Tell where a version comes from, and what is left of what the client said about it.

    Raises:
        InputError: the provenance that was sent cannot be read.
    """
    info = dict(said or {})
    model, model_version = (_text(info, key) for key in ("model", "model_version"))
    prompts = info.pop("prompts", None)
    if prompts is not None and not isinstance(prompts, dict):
        raise InputError(f"expected prompts as a JSON object, got {type(prompts).__name__}")
    agent, client = request.headers.get("user-agent", ""), str(info.get("client_id") or "")
    tool = f"{agent} ({client})" if agent and client else agent or client
    return Provenance(who.name, tool, model, model_version, prompts, current_request.get()), info


def _text(info: dict[str, Any], key: str) -> str:
    """Take a text out of what the client said."""
    value = info.pop(key, None)
    if value is not None and not isinstance(value, str):
        raise InputError(f"expected {key} as a text, got {type(value).__name__}")
    return value or ""


def _id(place: Workplace, label: str) -> str:
    try:
        return place.source.entry(label).id
    except UnavailableError:
        # A PACS that is away holds back no label: those lie here.
        if place.datastore.labels.history.versions(label):
            return label
        raise


def _named_version(place: Workplace, label: str, tag: str, uid: str) -> LabelVersion:
    """Look a version of this image up; one of another image is as unknown as any other misspelling."""
    found = place.datastore.labels.history.version(uid)
    if found.image != _id(place, label) or (tag and found.tag != tag):
        raise NotFoundError(f"label {label!r} has no version {uid!r}")
    return found


def _etag(version: LabelVersion) -> str:
    return f'"{version.uid}"'


def matched(request: Request) -> str | None:
    """Return the version that ``If-Match`` names; ``*`` names none in particular."""
    named = request.headers.get("if-match", "").strip().removeprefix("W/").strip('"')
    return named if named and named != "*" else None


def checksum(path: Path) -> str:
    """Return ``SHA256:<hex>`` of a file, remembered until it changes."""
    state = path.stat()
    return _checksum(str(path), state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=4096)
def _checksum(path: str, changed_ns: int, size: int) -> str:
    with open(path, "rb") as file:
        return f"SHA256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
