"""``/interactive/``: one mask, prompt by prompt, with undo, redo, its log, and a label at the end.

MONAI Label has no such addresses: its clients send all points with every request to ``/infer``, which is answered from
the same sessions. Who uses these sends each prompt once, may take only the changed box as the answer, and gets the way
to the mask as well as the mask. A session belongs to who opened it, and ends when it is left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response

from tumorseg.access.types import Principal, Role
from tumorseg.adapters.datastore import FINAL
from tumorseg.adapters.inference.subject import Subject
from tumorseg.adapters.interactive import steps as own
from tumorseg.adapters.interactive.answers import require_label_map
from tumorseg.adapters.interactive.desk import Opened, Who
from tumorseg.adapters.interactive.dialects import segment_of
from tumorseg.adapters.interactive.sessions import Entry
from tumorseg.adapters.wire import parse_params
from tumorseg.adapters.workplace import Workplace
from tumorseg.errors import InputError
from tumorseg.interactive.prompts import Prompt
from tumorseg.labels.types import LabelVersion, check_tag
from tumorseg.server.audit import note
from tumorseg.server.common import Place, caller_of
from tumorseg.server.datastore import made_by, matched, tell_of
from tumorseg.server.gone import unless_gone
from tumorseg.server.infer import Output, require_offered, respond
from tumorseg.server.interactive_models import Changed, MaskOut, OpenIn, PromptsIn, PropagateIn
from tumorseg.server.rules import Caller, rule
from tumorseg.server.session import OwnSessions, Sessions

router = APIRouter(prefix="/interactive", tags=["clicks"])
_LONGEST = 4000
#: How the answer is wanted, as JSON in the address.
Said = Annotated[str, Query(max_length=_LONGEST, description="JSON: result_extension, result_dtype, result_compress")]


@dataclass(frozen=True)
class Sent:
    """How a mask is to be answered, as the address says it."""

    changed: Changed
    output: Output
    params: str

    def require_possible(self) -> None:
        """Refuse an answer that cannot be given before anything is done for it."""
        require_offered(self.output)
        require_label_map(parse_params(self.params))


async def _sending(changed: Changed = Changed.all, output: Output = Output.all, params: Said = "{}") -> Sent:
    return Sent(changed, output, params)


Sending = Annotated[Sent, Depends(_sending)]


@router.post("/", summary="Begin a mask")
@rule(Role.ANNOTATOR, "infer")
async def begin(request: Request, place: Place, sessions: Sessions, who: Caller, said: OpenIn) -> MaskOut:
    """Look at an image and begin a mask on it; the first look at an image may take seconds, every click after none."""
    if bool(said.image) == bool(said.session_id):
        raise InputError("expected an image or a session_id, and not both")
    note(request, image=said.image)
    label = None if said.label is None else segment_of(said.label, "label")
    wanted = own.Wanted(said.model, label, said.start, check_tag(said.tag), place.config.label_classes)
    asking = Who(who.name, caller_of(request, who))
    with ExitStack() as brought:
        opening = partial(_opened, place, sessions, brought, said)
        entry = await unless_gone(request, own.begin(place.interactive, opening, wanted, asking))
    entry.brought = said.session_id
    if entry.image:
        place.effort.looked(entry.image, who.name)
    return MaskOut.of(entry)


@router.get("/", summary="Your masks in the making")
@rule(Role.ANNOTATOR)
async def masks(place: Place, who: Caller, image: str = "") -> list[MaskOut]:
    """List them, what was used last first; those of one image where it is named."""
    entries = [one for one in place.interactive.entries.owned(who.name) if image in ("", one.image)]
    return await place.interactive.turns.aside(lambda: [MaskOut.of(entry) for entry in entries])


@router.get("/{id}", summary="Where a mask is")
@rule(Role.ANNOTATOR)
async def show(place: Place, who: Caller, id: str) -> MaskOut:
    """Describe a mask."""
    return MaskOut.of(place.interactive.entries.get(id, who.name))


@router.post("/{id}/prompts", summary="Answer prompts")
@rule(Role.ANNOTATOR, "infer")
async def prompt(request: Request, place: Place, who: Caller, id: str, said: PromptsIn, sent: Sending) -> Response:
    """Answer as ``/infer`` does, with the mask or only the changed box of it (``params.box`` says where it lies)."""
    entry = await _mine(request, place, who, id)
    prompts = await place.interactive.turns.aside(partial(own.prompts_of, entry, said.prompts))
    return await _prompted(request, place, who, entry, prompts, sent)


@router.post("/{id}/propagate", summary="Let the neighbours of a corrected slice follow it")
@rule(Role.ANNOTATOR, "infer")
async def propagate(request: Request, place: Place, who: Caller, id: str, said: PropagateIn, sent: Sending) -> Response:
    """Answer as to any other prompt; it can be undone like one."""
    entry = await _mine(request, place, who, id)
    prompts = own.prompts_of(entry, [{"propagate": said.model_dump()}])
    return await _prompted(request, place, who, entry, prompts, sent)


@router.post("/{id}/undo", summary="Take the last prompt back")
@rule(Role.ANNOTATOR, "infer")
async def undo(request: Request, place: Place, who: Caller, id: str, sent: Sending) -> Response:
    """Return to the mask before it, exactly; 409 where there is none."""
    return await _moved(request, place, who, id, sent, forth=False)


@router.post("/{id}/redo", summary="Bring back what was undone last")
@rule(Role.ANNOTATOR, "infer")
async def redo(request: Request, place: Place, who: Caller, id: str, sent: Sending) -> Response:
    """Bring it back without asking the model; 409 where nothing was undone since the last prompt."""
    return await _moved(request, place, who, id, sent, forth=True)


@router.get("/{id}/mask", summary="A mask as a label map")
@rule(Role.ANNOTATOR, "infer")
async def mask(request: Request, place: Place, who: Caller, id: str, params: Said = "{}") -> Response:
    """Send the mask as it is now."""
    entry = await _mine(request, place, who, id)
    return await _answered(place, entry, {}, await own.now(entry), Sent(Changed.all, Output.image, params))


@router.get("/{id}/log", summary="How a mask came about")
@rule(Role.ANNOTATOR, "infer")
async def log(request: Request, place: Place, who: Caller, id: str) -> Response:
    """Send every prompt with its time, the model's version and the digest of the mask that it led to."""
    entry = await _mine(request, place, who, id, still_there=False)
    text = await place.interactive.turns.aside(entry.session.log().to_json)
    return Response(text, media_type="application/json")


@router.post("/{id}/save", summary="Save a mask as a label of its image")
@rule(Role.ANNOTATOR, "label.save")
async def save(
    request: Request,
    place: Place,
    who: Caller,
    id: str,
    tag: str = FINAL,
    others: Annotated[bool, Query(description="keep the other segments of the newest label")] = True,
    parent: Annotated[str, Query(description="the version that you looked at; or in If-Match")] = "",
) -> dict[str, Any]:
    """Keep the mask as a new label version, with its log; an empty one alone says "no lesion".

    With ``parent`` a label that somebody else saved meanwhile is answered 409, as where viewers save.
    """
    check_tag(tag)
    entry = await _mine(request, place, who, id)
    if not entry.image:
        raise InputError("the image of a session is not kept, and neither is a label of it: download the mask")
    async with entry.lock:
        seen = parent or matched(request)
        kept = await run_in_threadpool(_saved, request, place, who, entry, tag, others, seen)
    return {"image": entry.image, "label": kept.image, "version": kept.uid, "no_lesion": kept.no_lesion}


@router.delete("/{id}", summary="End a session")
@rule(Role.ANNOTATOR)
async def end(place: Place, who: Caller, id: str) -> dict[str, Any]:
    """Forget a mask; what was saved of it stays."""
    place.interactive.entries.drop(place.interactive.entries.get(id, who.name))
    return {}


async def _mine(request: Request, place: Workplace, who: Principal, id: str, *, still_there: bool = True) -> Entry:
    """Return the caller's mask, whose image has to be what it was."""
    entry = place.interactive.entries.get(id, who.name)
    note(request, image=entry.image)
    if entry.image and still_there:
        subject: Subject = await place.interactive.through_the_door(partial(place.engine.of_source, entry.image))
        own.check_unchanged(entry, subject)
    if entry.brought and still_there:
        await run_in_threadpool(partial(request.app.state.sessions.describe, entry.brought, who, touch=True))
    return entry


async def _prompted(
    request: Request, place: Workplace, who: Principal, entry: Entry, prompts: Sequence[Prompt], sent: Sent
) -> Response:
    steps: dict[str, float] = {}
    sent.require_possible()
    work = own.add(place.interactive, entry, prompts, caller_of(request, who), steps)
    moment = await unless_gone(request, work)
    return await _answered(place, entry, steps, moment, sent)


async def _moved(request: Request, place: Workplace, who: Principal, id: str, sent: Sent, *, forth: bool) -> Response:
    sent.require_possible()
    entry = await _mine(request, place, who, id)
    moment = await own.back(place.interactive, entry, forth=forth)
    return await _answered(place, entry, {}, moment, sent)


async def _answered(
    place: Workplace, entry: Entry, steps: dict[str, float], moment: own.Moment, sent: Sent
) -> Response:
    """Send the mask, the changed box, or where nothing changed what is known of the session alone."""
    wanted, in_box = parse_params(sent.params), sent.changed is Changed.box
    result = await place.interactive.turns.aside(partial(own.answer, entry, wanted, steps, moment, changed=in_box))
    session = MaskOut.of(entry, moment).model_dump()
    if result is None:
        return JSONResponse({"box": None, "notes": list(moment.notes), "session": session})
    result.params["session"] = session
    return respond(result, sent.output)


def _opened(place: Workplace, sessions: OwnSessions, brought: ExitStack, said: OpenIn) -> Opened:
    """Find out what is to be looked at; in a thread."""
    if said.session_id:
        return Opened(Subject.of_file(brought.enter_context(sessions.image(said.session_id))))
    return Opened(place.engine.of_source(said.image), said.image)


def _saved(
    request: Request, place: Workplace, who: Principal, entry: Entry, tag: str, others: bool, seen: str | None
) -> LabelVersion:
    """Keep the label and its log, and tell who waits for one; in a thread."""
    history = place.datastore.labels.history
    drawn, newest = own.label_map(history, entry, tag, place.config.label_classes, others=others)
    provenance = own.provenance(made_by(request, who)[0], entry)
    kept = place.desk.keep(entry.image, tag, drawn, {}, provenance, expected_parent=seen or newest)
    place.interactive.prompts.keep(kept, [entry])
    tell_of(request, place, who, kept, who.name)
    return kept
