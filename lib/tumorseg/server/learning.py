"""``/activelearning/``: which image comes next.

The image that somebody is given is theirs for a while (:mod:`tumorseg.labels.leases`): nobody else is given it. Who
asks again passes it over: the strategy chooses anew, among the images that are free and their own, and the one before
is free at once. A case that was opened and left must not wait for its lease to end, and asking often gathers nothing.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Body, Request, Response

from tumorseg.access.types import Role
from tumorseg.adapters.params import NextSampleParams
from tumorseg.adapters.workplace import Workplace
from tumorseg.errors import NotFoundError
from tumorseg.server.audit import note
from tumorseg.server.common import Place
from tumorseg.server.datastore import checksum, holder
from tumorseg.server.rules import Caller, rule
from tumorseg.server.who import address

router = APIRouter(tags=["learning"])
#: Header that says why no image was given; viewers know an empty answer and ignore it.
WHY = "X-Tumorseg-Next"


@router.post("/activelearning/{strategy}", summary="Ask which image to label next")
@rule(Role.ANNOTATOR, "sample.next")
def next_sample(
    request: Request,
    response: Response,
    place: Place,
    who: Caller,
    strategy: str,
    params: Annotated[NextSampleParams | None, Body()] = None,
) -> dict[str, Any]:
    """Return id, file name, checksum and UIDs of an image without a label, or ``{}`` where there is none to give.

    The header ``X-Tumorseg-Next`` then says why: ``all-labelled``, or ``all-leased`` while others work on the rest.
    """
    if strategy not in place.strategies:
        raise NotFoundError(f"unknown strategy {strategy!r}; known: {', '.join(place.strategies)}")
    said = params.model_dump() if params else {}
    sample = _given(place, strategy, holder(who, said))
    if not sample:
        left = place.datastore.get_unlabeled_images()
        response.headers[WHY] = "all-leased" if left else "all-labelled"
        return {}
    image_id = str(sample["id"])
    note(request, image=image_id)
    known = place.datastore.get_image_info(image_id)
    shown = {
        **known.get("strategy", {}),
        strategy: {"ts": int(time.time()), "client_id": said.get("client_id")},
    }
    place.datastore.update_image_info(image_id, {"strategy": shown})
    # Slicer's module has this image downloaded without its token (tumorseg.access.downloads).
    request.app.state.access.downloads.allow(who, address(request.scope), image_id)
    # Slicer keeps downloads by name and only loads one anew where the checksum differs.
    state = checksum(Path(place.datastore.get_image_uri(image_id)))
    return {**sample, **place.datastore.get_image_info(image_id), "checksum": state}


def _given(place: Workplace, strategy: str, name: str) -> dict[str, Any] | None:
    """Let the strategy choose until it names a case that nobody took meanwhile."""
    taken = place.desk.leases.held_by_others(name)
    asked = {"strategy": strategy, "who": name}
    while sample := place.strategies[strategy]({**asked, "leave_out": taken}, place.datastore):
        if place.desk.give(str(sample["id"]), name):
            place.effort.given(str(sample["id"]), name)
            return dict(sample)
        taken |= {str(sample["id"])}
    return None
