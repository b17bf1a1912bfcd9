"""Answers clicks: from a viewer's request, or one prompt after the other of a session, to a mask.

What is done where, and in which order: :mod:`tumorseg.adapters.interactive.turns`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tumorseg.adapters.interactive import starts
from tumorseg.adapters.interactive.answers import Made, encoded, require_label_map
from tumorseg.adapters.interactive.dialects import Asked, parse
from tumorseg.adapters.interactive.handed import as_stored
from tumorseg.adapters.interactive.keeper import PromptKeeper
from tumorseg.adapters.interactive.layers import Drawn, read_layers
from tumorseg.adapters.interactive.looks import Look, Looks
from tumorseg.adapters.interactive.models import InteractiveModels
from tumorseg.adapters.interactive.plans import begins_anew, is_made
from tumorseg.adapters.interactive.records import packed
from tumorseg.adapters.interactive.sessions import Entries, Entry
from tumorseg.adapters.interactive.turns import Turns
from tumorseg.adapters.interactive.warming import click_noise
from tumorseg.errors import InputError, TumorSegError
from tumorseg.interactive.base import require_kind
from tumorseg.interactive.prompts import Box, Click, Prompt, check
from tumorseg.interactive.session import PromptSession

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tumorseg.adapters.engine import Engine
    from tumorseg.adapters.inference.subject import Subject
    from tumorseg.adapters.wire import InferResult, ResultFormat
    from tumorseg.config import AppConfig
    from tumorseg.interactive.base import Interactive
    from tumorseg.labels.history import LabelHistory

    Mask = NDArray[np.bool_]

logger = logging.getLogger(__name__)
_MEGABYTE, _MINUTE = 1 << 20, 60.0
#: Of the memory masks have this part; looks that are kept have the rest.
_MASKS_SHARE = 4


@dataclass(frozen=True)
class Opened:
    """What a request is about, once its files were looked at.

    Attributes:
        subject: the image.
        image: its id; "" of one that is not of the studies.
        keep: whether the mask is kept for the next request.
        label: the label map that came along.
    """

    subject: Subject
    image: str = ""
    keep: bool = True
    label: Path | None = None


@dataclass(frozen=True)
class Who:
    """Who asks.

    Attributes:
        owner: whose the mask is.
        caller: who takes turns with others.
    """

    owner: str
    caller: str


class InteractiveDesk:
    """The interactive models over the images of a server.

    Args:
        config: which models, how much memory, how long a mask is kept.
        engine: the images, and the queue before the devices.
        history: of the labels, to begin with one.

    Attributes:
        models: by name.
        entries: the masks in the making.
        prompts: keeps them with the labels that are saved.
    """

    def __init__(self, config: AppConfig, engine: Engine, history: LabelHistory) -> None:
        self.models = InteractiveModels(config)
        self._device = config.device
        self._history, self.through_the_door = history, engine.through_the_door
        self.turns = Turns(engine.queue, config.device)
        limit = config.interactive_cache_mb * _MEGABYTE
        of_masks = limit // _MASKS_SHARE
        self.looks = Looks(self.turns, config.device, limit - of_masks)
        self.entries = Entries(self.looks.kept, of_masks, config.interactive_minutes * _MINUTE)
        self.looks.held = self.entries.look
        self.prompts = PromptKeeper(history, self.entries)

    async def infer(
        self, name: str, opening: Callable[[], Opened], values: Mapping[str, Any], wanted: ResultFormat, who: Who
    ) -> InferResult:
        """Answer a viewer that sends all of its points with every request.

        Args:
            name: of the model.
            opening: says what to look at; called in a thread, may wait for a disk.
            values: what the viewer said (:mod:`tumorseg.adapters.interactive.dialects`).
            wanted: form of the answer.
            who: who asks.

        Raises:
            NotFoundError: the model is not served, there is no such image, or no label to begin with.
            InputError: a prompt that cannot be, or that the model does not take.
            UnavailableError: too many wait, or the server is stopping.
        """
        require_label_map(wanted)
        steps: dict[str, float] = {}
        model, opened = await self.through_the_door(lambda: (self.models.get(name), opening()))
        asked = parse(values, tuple(model.labels))
        look = await self.looks.of(model, opened.subject, who.caller, steps)
        drawn = await self._drawn(opened, asked, look)
        wishes = {label: self._prompts(model, look, own, drawn) for label, own in asked.segments.items()}
        made = []
        for label, prompts in wishes.items():
            made.append(await self._segment(model, opened, look, asked, label, prompts, drawn, who, steps))
        write = partial(encoded, opened.subject.title, look, made, model.labels, wanted, steps)
        return await self.turns.aside(write)

    async def follow(
        self, entry: Entry, model: Interactive, prompts: Sequence[Prompt], caller: str, steps: dict[str, float]
    ) -> Mask:
        """Bring a mask to exactly these prompts, each answer a turn of its own; the entry's lock is held."""
        session = entry.session
        while not await self.turns.aside(partial(is_made, session, prompts)):
            await self.turns.click(model, partial(session.follow, prompts, most=1), caller, steps)
        self.entries.shrink(entry)
        return session.mask

    def warm_up(self) -> None:
        """Load the models that drive a network and have each answer a click that means nothing.

        What cannot be offered is said now and not when somebody asks for it first.
        """
        for name in self.models.describe():
            try:
                model = self.models.get(name)
                if model.slow and Click in model.kinds:
                    click_noise(model, self.turns.queue, self._device, self.looks)
            except TumorSegError as error:
                logger.info("interactive model %s is not warm: %s", name, error)

    def nbytes(self) -> int:
        """Return the bytes of masks and looks that are kept."""
        return self.looks.kept.size() + self.entries.nbytes()

    def close(self) -> None:
        """Give up what waits."""
        self.turns.close()

    async def _drawn(self, opened: Opened, asked: Asked, look: Look) -> Drawn:
        if opened.label is None:
            return Drawn(None, None)
        if len(asked.segments) > 1:
            raise InputError("expected strokes for one segment, got points for several: send one dialect")
        (segment,) = asked.segments
        return await self.turns.aside(partial(read_layers, opened.label, asked.layers, segment, look.place))

    @staticmethod
    def _prompts(model: Interactive, look: Look, clicked: Sequence[Prompt], drawn: Drawn) -> tuple[Prompt, ...]:
        """Return what is to be answered, checked: nothing changes where a single one cannot be."""
        shape = look.encoded.shape
        prompts = tuple(_clipped(prompt, shape) if isinstance(prompt, Box) else prompt for prompt in clicked)
        if drawn.scribble is not None:
            prompts = (*prompts, drawn.scribble)
        for prompt in prompts:
            require_kind(model, prompt)
        check(prompts, shape)
        return as_stored(prompts, look.place.grid)

    async def _segment(
        self,
        model: Interactive,
        opened: Opened,
        look: Look,
        asked: Asked,
        label: str,
        prompts: tuple[Prompt, ...],
        drawn: Drawn,
        who: Who,
        steps: dict[str, float],
    ) -> Made:
        """Answer the prompts of one segment."""
        key = (who.owner, opened.image, look.key, label, asked.start, asked.tag) if opened.keep and look.key else None
        find = partial(self._found, key, opened.image, asked, prompts, drawn)
        entry = await self.turns.aside(find)
        if entry is None:
            start = await self.start(model, opened, look, asked, label, drawn)
            made = await self.turns.aside(partial(self.entry, who.owner, opened.image, label, look, model, start))
            entry = await self.turns.aside(find)  # another request of theirs may have been faster
            entry = entry or self._begun(key, made)
        async with entry.lock:
            mask = await self.follow(entry, model, prompts, who.caller, steps)
            return Made(label, mask, entry.session.log())

    def _found(
        self, key: Hashable | None, image: str, asked: Asked, prompts: Sequence[Prompt], drawn: Drawn
    ) -> Entry | None:
        """Return the mask that a request goes on with."""
        entry = self.entries.find(key) if key is not None else None
        newest = partial(starts.newest, self._history, image, asked.tag)
        return None if entry is None or begins_anew(entry, asked, prompts, drawn, newest) else entry

    def _begun(self, key: Hashable | None, entry: Entry) -> Entry:
        """Keep a new mask in the place of the one before; one that goes by no key is forgotten after its answer."""
        if key is not None:
            before = self.entries.find(key)
            if before is not None:
                self.entries.drop(before)
            entry.key = key
            self.entries.add(entry)
        return entry

    def entry(
        self, owner: str, image: str, label: str, look: Look, model: Interactive, start: tuple[Mask, str]
    ) -> Entry:
        """Begin a mask."""
        session = PromptSession(
            model, look.encoded, start[0], start[1], image=image or "session", label=label, state=look.state
        )
        kept = packed(start[0]) if start[1] == starts.SHOWN else None
        return Entry(owner, image, label, look, session, kept)

    async def start(
        self, model: Interactive, opened: Opened, look: Look, asked: Asked, label: str, drawn: Drawn | None
    ) -> tuple[Mask, str]:
        """Return the mask that a segment begins with, and its name."""
        if asked.start == "label":
            read = partial(starts.saved, self._history, opened.image, asked.tag, label, look, model.labels)
            return await self.turns.aside(read)
        if asked.start == "nothing":
            return starts.nothing(look)
        if drawn is not None and drawn.shown is not None and drawn.shown.any():
            return drawn.shown, starts.SHOWN
        return starts.proposed(model, look, label)


def _clipped(box: Box, shape: tuple[int, int, int]) -> Box:
    """Cut off what lies outside of the volume: a box is drawn over the edge of what is shown.

    Raises:
        InputError: all of it does.
    """
    last = tuple(size - 1 for size in shape[::-1])
    if any(high < 0 or low > end for low, high, end in zip(box.first, box.last, last, strict=True)):
        raise InputError(
            f"the box {list(box.first)} to {list(box.last)} lies outside of the volume: expected voxels of "
            f"[0, 0, 0] to {list(last)} (i, j, k)"
        )
    i, j, k = (max(0, low) for low in box.first)
    end_i, end_j, end_k = (min(high, end) for high, end in zip(box.last, last, strict=True))
    return Box((i, j, k), (end_i, end_j, end_k))
