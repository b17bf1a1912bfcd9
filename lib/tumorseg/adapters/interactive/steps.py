"""A mask made step by step by who asks with its id: open, prompt, back and forth, and out as a label."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from tumorseg.adapters.interactive import starts
from tumorseg.adapters.interactive.answers import Made, changed_box, encoded, require_label_map, values_of
from tumorseg.adapters.interactive.dialects import UNNAMED, Asked, Start
from tumorseg.errors import ConflictError, InputError
from tumorseg.interactive.base import require_kind
from tumorseg.interactive.packed import Unpacked
from tumorseg.interactive.prompt_json import packed_from_json, shown
from tumorseg.interactive.prompts import MAX_PROMPTS, Prompt, Propagate, check

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tumorseg.adapters.inference.subject import Subject
    from tumorseg.adapters.interactive.desk import InteractiveDesk, Opened, Who
    from tumorseg.adapters.interactive.sessions import Entry
    from tumorseg.adapters.wire import InferResult, ResultFormat
    from tumorseg.interactive.log import PromptLog
    from tumorseg.labels.history import LabelHistory
    from tumorseg.labels.types import Provenance
    from tumorseg.types import Segmentation

    Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Wanted:
    """What is to be made.

    Attributes:
        model: name of an interactive one.
        label: name of the segment; None takes the model's only label.
        start: what it begins as.
        tag: of the label that it may begin as.
        classes: of the labels that are kept here, name -> value or None; empty where any will do.
    """

    model: str
    label: str | None
    start: Start
    tag: str
    classes: Mapping[str, int | None]


@dataclass(frozen=True, eq=False)
class Moment:
    """A mask after one request: what others change later is not in it.

    Attributes:
        before: ``(K, J, I)``, before the request.
        mask: after it.
        log: how that came about.
        redo: whether a prompt can be brought back.
        notes: what who asked should know.
    """

    before: Mask
    mask: Mask
    log: PromptLog
    redo: bool
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, entry: Entry, before: Mask | None = None, notes: tuple[str, ...] = ()) -> Moment:
        """Look at a mask as it is now; who wants all of it to be of one moment holds the entry's lock."""
        session = entry.session
        mask = session.mask
        return cls(mask if before is None else before, mask, session.log(), session.can_redo, notes)


async def begin(desk: InteractiveDesk, opening: Callable[[], Opened], wanted: Wanted, who: Who) -> Entry:
    """Begin a mask.

    Raises:
        NotFoundError: the model is not served, there is no such image, or no label to begin with.
        InputError: labels of this name are not kept here.
        UnavailableError: too many wait, or the server is stopping.
    """
    from tumorseg.labels.schema import check_classes

    model, opened = await desk.through_the_door(lambda: (desk.models.get(wanted.model), opening()))
    look = await desk.looks.of(model, opened.subject, who.caller, {})
    names = tuple(model.labels)
    label = wanted.label or (names[0] if len(names) == 1 else UNNAMED)
    if opened.image:  # better now than when all is clicked and to be saved
        check_classes({0: label}, (), wanted.classes, numbered=False)
    start = await desk.start(model, opened, look, Asked({label: ()}, wanted.start, wanted.tag), label, None)
    entry = await desk.turns.aside(partial(desk.entry, who.owner, opened.image, label, look, model, start))
    desk.entries.add(entry)
    return entry


def prompts_of(entry: Entry, said: Any) -> Sequence[Prompt]:
    """Read prompts for a mask; all of them, or none where a single one cannot be. Strokes stay packed until looked at.

    Raises:
        InputError: no list of prompts, too many, one that cannot be or that the model does not take.
    """
    if not isinstance(said, list) or not said:
        raise InputError(f"expected prompts as a list of at least one, got {shown(said)}")
    if len(said) > MAX_PROMPTS:
        raise InputError(f"expected at most {MAX_PROMPTS} prompts, got {len(said)}: send a scribble instead")
    shape, model = entry.look.encoded.shape, entry.session.model
    prompts = Unpacked([packed_from_json(one, shape) for one in said])
    for prompt in prompts:
        if not isinstance(prompt, Propagate):
            require_kind(model, prompt)
    check(prompts, shape)
    return prompts


async def add(
    desk: InteractiveDesk, entry: Entry, prompts: Sequence[Prompt], caller: str, steps: dict[str, float]
) -> Moment:
    """Answer prompts one after the other; all of them, or none where one fails or who asked hung up."""
    async with entry.lock:
        before, session = entry.session.mask, entry.session
        return_to_it, notes = session.bookmark(), list[str]()
        try:
            for prompt in prompts:
                edit = await desk.turns.click(session.model, partial(session.add, prompt), caller, steps)
                notes += edit.notes
        except BaseException:  # also who hung up: they send all of it again
            return_to_it()
            raise
        desk.entries.shrink(entry)
        return Moment.of(entry, before, tuple(notes))


async def now(entry: Entry) -> Moment:
    """Return a mask as it is when the request that is at it is answered."""
    async with entry.lock:
        return Moment.of(entry)


async def back(desk: InteractiveDesk, entry: Entry, *, forth: bool) -> Moment:
    """Take the last prompt back, or bring it back.

    Raises:
        ConflictError: there is none.
    """
    async with entry.lock:
        before = entry.session.mask
        await desk.turns.aside(entry.session.redo if forth else entry.session.undo)
        return Moment.of(entry, before)


def check_unchanged(entry: Entry, subject: Subject) -> None:
    """Refuse to go on with an image that is another one by now.

    Raises:
        ConflictError: it changed.
    """
    from tumorseg.io.files import digest

    if digest(subject.fingerprint) != entry.look.state:
        raise ConflictError("the image changed since this session was opened: open a new one")


def answer(
    entry: Entry, wanted: ResultFormat, steps: dict[str, float], moment: Moment, *, changed: bool = False
) -> InferResult | None:
    """Return a mask, or the box of it in which it changed; None where nothing did.

    Args:
        entry: whose mask.
        wanted: the form.
        steps: seconds by step so far.
        moment: the mask.
        changed: whether only the box is wanted.

    Raises:
        InputError: a form that is none of a mask's.
    """
    require_label_map(wanted)
    box = changed_box(moment.before, moment.mask) if changed else None
    if changed and box is None:
        return None
    made = Made(entry.label, moment.mask, moment.log)
    title, labels = entry.image or "session", entry.session.model.labels
    return encoded(title, entry.look, [made], labels, wanted, steps, box, moment.notes)


def provenance(made: Provenance, entry: Entry) -> Provenance:
    """Say with which model a label was made; its prompts go beside the version."""
    return replace(made, model=entry.session.model.name, model_version=entry.session.model.version)


def label_map(
    history: LabelHistory, entry: Entry, tag: str, classes: Mapping[str, int | None], *, others: bool
) -> tuple[Segmentation, str | None]:
    """Return a mask as a label map of its image, and the uid of the version whose other segments are in it.

    Args:
        history: of the labels.
        entry: whose mask.
        tag: under which it is to be saved.
        classes: of the server, name -> value or None.
        others: whether the other segments of the newest label stay; where they overlap the mask has the voxel.

    Raises:
        InputError: segments of the newest label overlap, or it lies on other voxels.
    """
    import numpy as np

    from tumorseg.labels.schema import HELPERS, said_names
    from tumorseg.types import Segmentation

    head = history.head(entry.image, tag) if others else None
    kept = starts.segments_of(history, head, entry.look, entry.session.model.labels) if head else {}
    replaced = {entry.label.casefold(), *HELPERS}
    kept = {name: mask for name, mask in kept.items() if name.casefold() not in replaced and mask.any()}
    marked = np.zeros(entry.look.place.grid.shape, bool)
    for mask in kept.values():
        if (marked & mask).any():
            raise InputError("segments of the newest label overlap: save with others=false, or from the viewer")
        marked |= mask
    told = {name: value for value, name in said_names(head.info).items()} if head else {}
    numbered = {name: value for name, value in classes.items() if value is not None}
    values = values_of([*kept, entry.label], {**entry.session.model.labels, **numbered, **told})
    voxels = np.zeros(entry.look.place.grid.shape, np.uint8 if max(values.values()) < 256 else np.uint16)
    for name, mask in {**kept, entry.label: entry.session.mask}.items():
        voxels[mask] = values[name]
    return Segmentation(voxels, entry.look.place.grid, values), head.uid if head else None
