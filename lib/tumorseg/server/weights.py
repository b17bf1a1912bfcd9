"""``/model/``: the weights of a model, handed out, taken in and switched back, by an administrator only."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, UploadFile
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field

from tumorseg.access.types import Role
from tumorseg.adapters.weights import describe_file
from tumorseg.adapters.weights_change import WeightsDesk
from tumorseg.server.audit import note
from tumorseg.server.common import Place, kept_file
from tumorseg.server.forms import UploadRoute
from tumorseg.server.rules import Caller, rule

router = APIRouter(prefix="/model", tags=["models"], route_class=UploadRoute)


async def _desk(request: Request) -> WeightsDesk:
    found: WeightsDesk = request.app.state.weights
    return found


Desk = Annotated[WeightsDesk, Depends(_desk)]


@router.get("/info/{model}", summary="Checksum and age of a model's weights")
@rule(Role.ADMIN)
def info(desk: Desk, model: str) -> dict[str, Any]:
    """Describe the file."""
    return describe_file(desk.file(model))


@router.get("/{model}", summary="Download a model's weights")
@rule(Role.ADMIN, "model.read")
def download(desk: Desk, model: str) -> FileResponse:
    """Send the file, as safetensors."""
    return FileResponse(desk.file(model), filename=f"{model}.safetensors", media_type="application/octet-stream")


class RollbackIn(BaseModel):
    """Which version shall serve: an id, ``shipped``, or nothing for the one before."""

    version: Annotated[str, Field(max_length=128)] = ""


@router.post("/{model}/rollback", summary="Serve an earlier version of a model again")
@rule(Role.ADMIN, "model.rollback")
def rollback(request: Request, desk: Desk, who: Caller, model: str, said: RollbackIn | None = None) -> dict[str, str]:
    """Switch back: nothing is removed, and the version of now can be chosen again in the same way."""
    version = desk.rollback(model, said.version if said else "", who.name)
    note(request, version=version)
    return {"model": model, "version": version}


@router.put("/{model}", summary="Give a model other weights")
@rule(Role.ADMIN, "model.change")
def change(desk: Desk, place: Place, who: Caller, model: str, file: UploadFile) -> dict[str, Any]:
    """Take safetensors, or a torch file of plain tensors, try them on the model's own network and use them.

    Requests that run go on with the old weights; old files are kept. Pickles and TorchScript are refused.
    """
    return desk.replace(model, kept_file(file, place.config.max_upload_mb).path, who.name)
