"""``/detections/``: a click keeps or drops an object that a model found. MONAI Label has no such addresses.

A decision belongs to who made it, the image, and the model in the version that found the object. The first question
about an image may wait for the model; a click on what was found costs no inference.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field

from tumorseg.access.types import Principal, Role
from tumorseg.adapters.datastore import FINAL
from tumorseg.adapters.detections import Found, Undecided
from tumorseg.adapters.params import read_object
from tumorseg.adapters.wire import parse_params
from tumorseg.adapters.workplace import Workplace
from tumorseg.interactive.instances import Verdict
from tumorseg.interactive.prompt_json import index_from_json
from tumorseg.labels.types import LabelVersion, check_tag
from tumorseg.server.audit import note
from tumorseg.server.common import Place, caller_of
from tumorseg.server.datastore import holder, made_by, matched, tell_of
from tumorseg.server.gone import unless_gone
from tumorseg.server.rules import Caller, rule

router = APIRouter(prefix="/detections", tags=["detections"])
_LONGEST = 4000
#: Thresholds as of ``/infer``, and ``client_id``, as JSON in the address.
Said = Annotated[str, Query(max_length=_LONGEST, description="JSON: thresholds as of /infer, and client_id")]


class DecideIn(BaseModel):
    """A click on an object."""

    at: Any = Field(description="voxel index [i, j, k] = column, row, slice of the image's own grid")
    decision: Verdict


class DecisionsOut(BaseModel):
    """What a model found in an image, and what the caller decided about it."""

    image: str
    model: str
    version: str
    detection_options: dict[str, Any]
    detections: list[dict[str, Any]] = Field(description="as of /infer, each with its decision: keep, drop or null")
    counts: dict[Literal["kept", "dropped", "undecided"], int]
    stale: int = Field(description="decisions about objects that are not found any more, as by other weights")
    instance: str | None = Field(None, description="the object that was decided about")


@router.get("/{model}", summary="What a model finds in an image, and what you decided about it")
@rule(Role.ANNOTATOR, "detection.list")
async def show(
    request: Request, place: Place, who: Caller, model: str, image: str, params: Said = "{}"
) -> DecisionsOut:
    """List the objects, the most certain first, each with its decision."""
    found = await _found(request, place, who, model, image, params)
    return await run_in_threadpool(_described, place, found, _holder(who, params))


@router.post("/{model}/decide", summary="Keep or drop the object at a voxel")
@rule(Role.ANNOTATOR, "detection.decide")
async def decide(
    request: Request, place: Place, who: Caller, model: str, image: str, said: DecideIn, params: Said = "{}"
) -> DecisionsOut:
    """Decide about the smallest object whose mask, or else whose box, holds the voxel; 404 where there is none.

    Another decision about the same object replaces the first; ``undo`` brings that back.
    """
    at = index_from_json(said.at, "at")
    found = await _found(request, place, who, model, image, params)
    name = _holder(who, params)
    made = await run_in_threadpool(place.detections.decide, found, name, at, said.decision)
    note(request, instance=made.instance, decision=made.verdict)
    return await run_in_threadpool(_described, place, found, name, made.instance)


@router.post("/{model}/undo", summary="Take your last decision about an image back")
@rule(Role.ANNOTATOR, "detection.undo")
async def undo(
    request: Request, place: Place, who: Caller, model: str, image: str, params: Said = "{}"
) -> DecisionsOut:
    """Take back one decision at a time; 409 where there is none."""
    found = await _found(request, place, who, model, image, params)
    name = _holder(who, params)
    last = await run_in_threadpool(place.detections.undo, found, name)
    note(request, instance=last.instance, decision="undo")
    return await run_in_threadpool(_described, place, found, name, last.instance)


@router.post("/{model}/save", summary="Save the objects that you kept as a label of the image")
@rule(Role.ANNOTATOR, "label.save")
async def save(
    request: Request,
    place: Place,
    who: Caller,
    model: str,
    image: str,
    tag: str = FINAL,
    undecided: Undecided | None = None,
    parent: Annotated[str, Query(description="the label version that you looked at; or in If-Match")] = "",
    params: Said = "{}",
) -> dict[str, Any]:
    """Keep a label map of what was kept as a new version; with nothing kept it says "no lesion".

    With ``parent`` a label that somebody else saved meanwhile is answered 409, as where viewers save.

    What was dropped goes with the version (``info.rejected``: class, score, box and mask of each), so that a training
    can learn from it. 409 where something is undecided and ``undecided`` does not say what that means.
    """
    check_tag(tag)
    found = await _found(request, place, who, model, image, params)
    seen = parent or matched(request)
    kept = await run_in_threadpool(_save, request, place, who, found, tag, undecided, params, seen)
    return {"image": found.image, "label": kept.image, "version": kept.uid, "no_lesion": kept.no_lesion}


async def _found(request: Request, place: Workplace, who: Principal, model: str, image: str, params: str) -> Found:
    wanted = parse_params(params)
    entry = await run_in_threadpool(place.source.entry, image)
    return await unless_gone(request, place.detections.found(model, entry.id, wanted, caller_of(request, who)))


def _holder(who: Principal, params: str) -> str:
    return holder(who, read_object(params, "params"))


def _described(place: Workplace, found: Found, name: str, instance: str | None = None) -> DecisionsOut:
    return DecisionsOut(**place.detections.describe(found, name), instance=instance)


def _save(
    request: Request,
    place: Workplace,
    who: Principal,
    found: Found,
    tag: str,
    undecided: Undecided | None,
    params: str,
    seen: str | None,
) -> LabelVersion:
    """Keep the label and tell who waits for one; in a thread."""
    name = _holder(who, params)
    kept = place.detections.save(found, name, tag, undecided, made_by(request, who)[0], expected_parent=seen)
    tell_of(request, place, who, kept, name)
    return kept
