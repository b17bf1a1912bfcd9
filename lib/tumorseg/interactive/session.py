"""One mask while it is being made: prompts in, and back again.

Concurrency: changes wait for each other, so that two requests for one session are answered one after the other. Looking
(``mask``, ``prompts``, ``log``) never waits for a model: what a session knows is one frozen value, which a change
replaces when it has succeeded. A model that fails therefore leaves everything as it was, and a mask that was handed out
never changes afterwards.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from tumorseg.errors import ConflictError, InputError
from tumorseg.interactive.answer import answered, method_of
from tumorseg.interactive.base import Edit, Encoded, Interactive, require_kind
from tumorseg.interactive.history import History, Step
from tumorseg.interactive.log import MAX_EVENTS, Action, LogEvent, LogStep, PromptLog, kind_of, mask_sha256
from tumorseg.interactive.packed import Change, Packed, Unpacked, pack
from tumorseg.interactive.prompts import Prompt, Propagate, check

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]


class PromptSession:
    """The mask of one label on one image, as one person makes it with one model.

    Args:
        model: what answers.
        encoded: what it knows of the image.
        start: ``(K, J, I)`` bool, the mask to begin with; copied.
        start_name: what that is: ``auto``, ``nothing`` or the id of a label version.
        image: id of the image.
        label: name of what is segmented.
        state: fingerprint of the image's content as text, for the log.
        clock: tells the time, s since 1970.

    Raises:
        InputError: the start is of another shape than the image, or a name is too long.
    """

    def __init__(
        self,
        model: Interactive,
        encoded: Encoded,
        start: Mask,
        start_name: str,
        *,
        image: str,
        label: str,
        state: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.model = model
        self.encoded = encoded
        self._clock = clock
        self._changing = threading.RLock()
        mask = self._own(start)
        log = PromptLog(image, state, model.name, model.version, label, start_name, mask_sha256(mask), encoded.shape)
        self._now = History(log, mask)

    @property
    def mask(self) -> Mask:
        """The mask as it is now, ``(K, J, I)`` bool, not writable; later prompts give another array."""
        return self._now.mask

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """The prompts in effect, in the order in which they were answered."""
        return tuple(Unpacked([step.packed for step in self._now.done]))

    @property
    def start_name(self) -> str:
        """What the mask began with."""
        return self._now.log.start

    @property
    def can_undo(self) -> bool:
        """Whether there is a prompt to take back."""
        return bool(self._now.done)

    @property
    def can_redo(self) -> bool:
        """Whether there is a prompt to bring back."""
        return bool(self._now.undone)

    @property
    def nbytes(self) -> int:
        """Memory of the mask and of the history, without the encoding, which is shared."""
        return self._now.nbytes

    def add(self, prompt: Prompt) -> Edit:
        """Answer one more prompt; what was undone before cannot be brought back then.

        Returns:
            What changed.

        Raises:
            InputError: the prompt is of a kind that the model does not take, lies outside of the image, or is one too
                many.
        """
        with self._changing:
            packed = self._checked([prompt])[0]
            before = self._now
            after = self._logged(self._answered(before, packed), "add", packed)
            self._now = after
            return replace(after.done[-1].change.edit(before.mask), notes=after.done[-1].notes)

    def undo(self) -> Edit:
        """Take the last prompt back, exactly.

        Raises:
            ConflictError: there is none.
        """
        with self._changing:
            before = self._now
            if not before.done:
                raise ConflictError("there is no prompt to undo: the mask is what the session began with")
            self._now = self._logged(before.back(), "undo", before.done[-1].packed)
            return before.done[-1].change.edit(before.mask)

    def redo(self) -> Edit:
        """Bring back what was undone last, exactly and without asking the model.

        Raises:
            ConflictError: nothing was undone since the last prompt.
        """
        with self._changing:
            before = self._now
            if not before.undone:
                raise ConflictError("there is no prompt to redo: none was undone since the last new one")
            self._now = self._logged(before.forth(), "redo", before.undone[0].packed)
            return before.undone[0].change.edit(before.mask)

    def follow(self, prompts: Sequence[Prompt], *, most: int | None = None) -> Mask:
        """Make the mask of exactly these prompts, for a client that sends all of them every time.

        Such a client sends its positive and its negative points apart, and with that their order is lost. So the order
        in which they first came stays; what is new follows at the end in the order given, and what is repeated counts
        once. Where one was taken away, the ones after it are answered anew.

        A known request costs nothing, one more prompt costs one answer, and taking the last one back costs nothing.

        Args:
            prompts: all that are in effect; none is the start again.
            most: answers to give now; None gives all. Following again goes on, so that others have their turn between.

        Returns:
            The mask, as :attr:`mask`.

        Raises:
            InputError: as :meth:`add`; nothing is changed then.
        """
        with self._changing:
            wanted = dict.fromkeys(self._checked(prompts))
            state = self._now
            known = {*(step.packed for step in state.done), *state.left}
            kept = next((n for n, step in enumerate(state.done) if step.packed not in wanted), len(state.done))
            before = [*(step.packed for step in state.done[kept:]), *state.left]
            anew = [packed for packed in before if packed in wanted]
            new = [packed for packed in wanted if packed not in known]
            for _ in state.done[kept:]:
                state = state.back()
            for packed in reversed(before):
                if packed not in wanted:
                    state = self._logged(state, "undo", packed)
            for number, packed in enumerate([*anew, *new][:most]):
                state = self._next(state, packed, is_new=number >= len(anew))
            self._now = replace(state, left=() if most is None else tuple(anew[most:]))
            return state.mask

    def bookmark(self) -> Callable[[], None]:
        """Return what brings all of it back to how it is now: for a request of several prompts that fails half way."""
        now = self._now

        def back() -> None:
            with self._changing:
                self._now = now

        return back

    def log(self) -> PromptLog:
        """Return how the mask came about."""
        return self._now.whole_log

    def _own(self, start: Mask) -> Mask:
        if start.shape != self.encoded.shape or start.dtype.kind != "b":
            raise InputError(
                f"expected a mask {self.encoded.shape} (K, J, I) of bool as its image, got {start.shape} {start.dtype}"
            )
        mask = np.array(start, order="C")
        mask.setflags(write=False)
        return mask

    def _checked(self, prompts: Sequence[Prompt]) -> list[Packed]:
        """Return the prompts as they are kept, where the model takes them and they lie on the image."""
        check(prompts, self.encoded.shape)
        for prompt in prompts:
            if not isinstance(prompt, Propagate):  # every model's slices follow
                require_kind(self.model, prompt)
        return [pack(prompt) for prompt in prompts]

    def _next(self, state: History, packed: Packed, *, is_new: bool) -> History:
        """Return the state after one more prompt, from memory where it was just undone."""
        if state.undone and state.undone[0].packed == packed:
            return self._logged(state.forth(), "redo", packed) if is_new else state.forth()
        state = self._answered(state, packed)
        return self._logged(state, "add", packed) if is_new else state

    def _answered(self, state: History, packed: Packed) -> History:
        """Ask the model."""
        state.check_room(packed)
        began = time.perf_counter()
        before, prompt = Unpacked([step.packed for step in state.done]), Unpacked([packed])[0]
        edit = answered(self.model, self.encoded, state.mask, before, prompt)
        seconds = round(time.perf_counter() - began, 4)
        change = Change.of(state.mask, edit)
        mask = edit.applied(state.mask)
        mask.setflags(write=False)
        logged = LogStep(self._time(), packed, mask_sha256(mask), seconds, method_of(self.model, prompt))
        return state.onward(Step(logged, change, edit.notes), mask)

    def _logged(self, state: History, action: Action, packed: Packed) -> History:
        """Return the state with one more event; of very many the first are forgotten."""
        event = LogEvent(self._time(), action, kind_of(packed))
        return replace(state, log=replace(state.log, events=(*state.log.events, event)[-MAX_EVENTS:]))

    def _time(self) -> str:
        return datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="milliseconds")
