"""A mask made step by step by who asks with its id: open, prompt, back and forth, and out as a label."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from tumorseg.adapters.interactive import starts
from tumorseg.adapters.interactive.answers import Box, Made, changed_box, encoded, require_label_map, values_of
from tumorseg.adapters.interactive.dialects import UNNAMED, Asked, Start
from tumorseg.errors import ConflictError, InputError
from tumorseg.interactive.base import require_kind
from tumorseg.interactive.packed import pack
from tumorseg.interactive.prompt_json import prompt_from_json, shown
from tumorseg.interactive.prompts import MAX_PROMPTS, Prompt, Propagate, check

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tumorseg.adapters.inference.subject import Subject
    from tumorseg.adapters.interactive.desk import InteractiveDesk, Opened, Who
    from tumorseg.adapters.interactive.sessions import Entry
    from tumorseg.adapters.wire import InferResult, ResultFormat
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
    """

    model: str
    label: str | None
    start: Start
    tag: str


async def begin(desk: InteractiveDesk, opening: Callable[[], Opened], wanted: Wanted, who: Who) -> Entry:
    """Begin a mask.

    Raises:
        NotFoundError: the model is not served, there is no such image, or no label to begin with.
        UnavailableError: too many wait, or the server is stopping.
    """
    model, opened = await desk.through_the_door(lambda: (desk.models.get(wanted.model), opening()))
    look = await desk.looks.of(model, opened.subject, who.caller, {})
    names = tuple(model.labels)
    label = wanted.label or (names[0] if len(names) == 1 else UNNAMED)
    start = await desk.start(model, opened, look, Asked({label: ()}, wanted.start, wanted.tag), label, None)
    entry = await desk.turns.aside(partial(desk.entry, who.owner, opened.image, label, look, model, start))
    desk.entries.add(entry)
    return entry


def prompts_of(entry: Entry, said: Any) -> list[Prompt]:
    """Read prompts for a mask; all of them, or none where a single one cannot be.

    Raises:
        InputError: no list of prompts, too many, one that cannot be or that the model does not take.
    """
    if not isinstance(said, list) or not said:
        raise InputError(f"expected prompts as a list of at least one, got {shown(said)}")
    if len(said) > MAX_PROMPTS:
        raise InputError(f"expected at most {MAX_PROMPTS} prompts, got {len(said)}: send a scribble instead")
    shape, model = entry.look.encoded.shape, entry.session.model
    prompts = [prompt_from_json(one, shape) for one in said]
    for prompt in prompts:
        pack(prompt)  # marks that are none are found here
        if not isinstance(prompt, Propagate):
            require_kind(model, prompt)
    check(prompts, shape)
    return prompts


async def add(
    desk: InteractiveDesk, entry: Entry, prompts: Sequence[Prompt], caller: str, steps: dict[str, float]
) -> tuple[Mask, Mask]:
    """Answer prompts one after the other; return the mask before and after."""
    async with entry.lock:
        before = entry.session.mask
        for prompt in prompts:
            await desk.turns.click(entry.session.model, partial(entry.session.add, prompt), caller, steps)
        desk.entries.shrink(entry)
        return before, entry.session.mask


async def back(desk: InteractiveDesk, entry: Entry, *, forth: bool) -> tuple[Mask, Mask]:
    """Take the last prompt back, or bring it back; return the mask before and after.

    Raises:
        ConflictError: there is none.
    """
    async with entry.lock:
        before = entry.session.mask
        await desk.turns.aside(entry.session.redo if forth else entry.session.undo)
        return before, entry.session.mask


def check_unchanged(entry: Entry, subject: Subject) -> None:
    """Refuse to go on with an image that is another one by now.

    Raises:
        ConflictError: it changed.
    """
    from tumorseg.io.files import digest

    if digest(subject.fingerprint) != entry.look.state:
        raise ConflictError("the image changed since this session was opened: open a new one")


def answer(
    entry: Entry, wanted: ResultFormat, steps: dict[str, float], masks: tuple[Mask, Mask] | None = None
) -> InferResult | None:
    """Return a mask as it is now, or the box of it in which it changed; None where nothing did.

    Args:
        entry: whose mask.
        wanted: the form.
        steps: seconds by step so far.
        masks: before and after; None returns the whole mask.

    Raises:
        InputError: a form that is none of a mask's.
    """
    require_label_map(wanted)
    session = entry.session
    box: Box | None = None
    if masks is not None:
        box = changed_box(*masks)
        if box is None:
            return None
    mask = session.mask if masks is None else masks[1]
    made = Made(entry.label, mask, session.log())
    return encoded(entry.image or "session", entry.look, [made], session.model.labels, wanted, steps, box)


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

    from tumorseg.labels.schema import said_names
    from tumorseg.types import Segmentation

    head = history.head(entry.image, tag) if others else None
    kept = starts.segments_of(history, head, entry.look, entry.session.model.labels) if head else {}
    kept = {name: mask for name, mask in kept.items() if name.casefold() != entry.label.casefold() and mask.any()}
    if kept and np.sum(list(kept.values()), axis=0).max() > 1:
        raise InputError("segments of the newest label overlap: save with others=false, or from the viewer")
    told = {name: value for value, name in said_names(head.info).items()} if head else {}
    numbered = {name: value for name, value in classes.items() if value is not None}
    values = values_of([*kept, entry.label], {**entry.session.model.labels, **numbered, **told})
    voxels = np.zeros(entry.look.place.grid.shape, np.uint8 if max(values.values()) < 256 else np.uint16)
    for name, mask in {**kept, entry.label: entry.session.mask}.items():
        voxels[mask] = values[name]
    return Segmentation(voxels, entry.look.place.grid, values), head.uid if head else None
