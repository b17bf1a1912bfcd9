"""``/datastore/``: images and labels, with MONAI Label's addresses."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Form, UploadFile
from fastapi.responses import FileResponse, Response

from tumorseg.access.types import Role
from tumorseg.adapters.datastore import FINAL
from tumorseg.errors import InputError, NotFoundError
from tumorseg.server.common import Place, json_object, received
from tumorseg.server.rules import rule

router = APIRouter(prefix="/datastore", tags=["images and labels"])


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
@rule(Role.ADMIN, "image.add")
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
def download_image(place: Place, image: str) -> FileResponse:
    """Send the image; a DICOM series comes as NRRD on the grid of its slices."""
    path = Path(place.datastore.get_image_uri(image))
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
    place: Place, image: str, label: UploadFile, params: Annotated[str, Form()] = "{}", tag: str = FINAL
) -> dict[str, str]:
    """Keep a label map under a tag (``final`` counts as done)."""
    said = json_object(params, "params")
    place.source.entry(image)
    with received(label, place.config.max_upload_mb) as path:
        return {"image": image, "label": place.datastore.save_label(image, str(path), tag or FINAL, said)}


@router.delete("/label", summary="Delete a label")
@rule(Role.REVIEWER, "label.remove")
def remove_label(place: Place, id: str, tag: str) -> dict[str, Any]:
    """Delete the label of an image under one tag."""
    place.datastore.remove_label(id, tag)
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
def download_label(place: Place, label: str, tag: str) -> FileResponse:
    """Send a label as it was saved."""
    path = Path(place.datastore.get_label_uri(label, tag))
    return FileResponse(path, filename=path.name)


@router.get("/label/info", summary="What was said about a label")
@rule(Role.VIEWER, "label.read")
def label_info(place: Place, label: str, tag: str) -> dict[str, Any]:
    """Return what came with the label."""
    return place.datastore.get_label_info(label, tag)


@router.put("/label/info", summary="Add to what was said about a label")
@rule(Role.ANNOTATOR, "label.note")
def put_label_info(place: Place, label: str, tag: str, info: Annotated[str, Form()] = "{}") -> None:
    """Add to what came with the label."""
    place.datastore.update_label_info(label, tag, json_object(info, "info"))


def checksum(path: Path) -> str:
    """Return ``SHA256:<hex>`` of a file, remembered until it changes."""
    state = path.stat()
    return _checksum(str(path), state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=4096)
def _checksum(path: str, changed_ns: int, size: int) -> str:
    with open(path, "rb") as file:
        return f"SHA256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
