"""The part of ``POST /infer/{model}`` that is about interactive models: who asks, and what the request brought."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from fastapi import Request, UploadFile

from tumorseg.access.types import Principal
from tumorseg.adapters.inference.subject import Subject
from tumorseg.adapters.interactive.desk import Opened, Who
from tumorseg.adapters.params import read_object
from tumorseg.adapters.wire import InferResult, parse_params
from tumorseg.adapters.workplace import Workplace
from tumorseg.server.common import caller_of, received
from tumorseg.server.datastore import holder
from tumorseg.server.gone import unless_gone


async def infer(
    request: Request,
    place: Workplace,
    who: Principal,
    model: str,
    opening: Callable[[], Subject],
    brought: ExitStack,
    *,
    image: str,
    keep: bool,
    params: str,
    label: UploadFile | None,
) -> InferResult:
    """Answer all points of a viewer's request.

    Args:
        request: as it came.
        place: what is served.
        who: the caller.
        model: name of an interactive one.
        opening: says what to look at; in a thread.
        brought: what the request brought stays until this is closed.
        image: id of the image; "" where the request brought one.
        keep: whether the mask is kept for the next request.
        params: the JSON of the form.
        label: the label map of the form: strokes, and the segments as they are shown.
    """
    values = read_object(params, "params")
    wanted = parse_params(values, label_allowed=True)
    asking = Who(holder(who, values), caller_of(request, who))
    look = partial(_opened, opening, brought, image, keep, label, place.config.max_upload_mb)
    result = await unless_gone(request, place.interactive.infer(model, look, values, wanted, asking))
    if image:
        place.effort.looked(image, asking.owner)
    return result


def _opened(
    opening: Callable[[], Subject], brought: ExitStack, image: str, keep: bool, label: UploadFile | None, limit_mb: int
) -> Opened:
    """Find out what the request is about; in a thread."""
    drawn = brought.enter_context(received(label, limit_mb, "label")) if label is not None else None
    return Opened(opening(), image, keep, drawn)
