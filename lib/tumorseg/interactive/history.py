"""What a prompt session knows at one moment, frozen: where it is, how it came there, and the way back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tumorseg.errors import InputError
from tumorseg.interactive.log import LogStep, PromptLog
from tumorseg.interactive.packed import MAX_RUNS, Change, Packed, Runs
from tumorseg.interactive.prompts import MAX_PROMPTS, ExtremePoints

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]

#: Bytes of the steps that a session remembers, prompts and changes together.
MAX_HISTORY_BYTES = 64 << 20
# What Python itself needs for a step, for one more extreme point of it, and for an event, in bytes: of a thousand steps
# that is more than a mask.
_STEP_BYTES, _POINT_BYTES, _EVENT_BYTES = 1100, 70, 200


@dataclass(frozen=True)
class Step:
    """A prompt that was answered.

    Attributes:
        logged: what the log says of it.
        change: the way there and back.
        notes: what who asked should know.
    """

    logged: LogStep
    change: Change
    notes: tuple[str, ...] = ()

    @property
    def packed(self) -> Packed:
        """The prompt as it is kept."""
        return self.logged.packed

    @property
    def nbytes(self) -> int:
        """Memory of the prompt, the change and what is said of them."""
        prompt, nbytes = self.packed, _STEP_BYTES + len(self.change.bits)
        if isinstance(prompt, Runs):
            return nbytes + len(prompt.values) + len(prompt.lengths)
        return nbytes + _POINT_BYTES * _parts(prompt)


@dataclass(frozen=True, eq=False)
class History:
    """All that a session knows.

    Attributes:
        log: how it began and what was done; its steps stand in ``done``.
        mask: ``(K, J, I)``, not writable.
        done: steps in effect, in order.
        undone: steps that were taken back, the one that comes back first at the front.
        left: prompts that a following in several parts has yet to answer anew.
    """

    log: PromptLog
    mask: Mask
    done: tuple[Step, ...] = ()
    undone: tuple[Step, ...] = ()
    left: tuple[Packed, ...] = ()

    @property
    def nbytes(self) -> int:
        """Memory of the mask, the steps and the events."""
        steps = sum(step.nbytes for step in (*self.done, *self.undone))
        return self.mask.nbytes + steps + _EVENT_BYTES * len(self.log.events)

    @property
    def whole_log(self) -> PromptLog:
        """The log with its steps."""
        return replace(self.log, steps=tuple(step.logged for step in self.done))

    def back(self) -> History:
        """Return the history before its last step."""
        step = self.done[-1]
        return replace(self, mask=_flipped(self.mask, step), done=self.done[:-1], undone=(step, *self.undone))

    def forth(self) -> History:
        """Return the history with the step again that was undone last."""
        step = self.undone[0]
        return replace(self, mask=_flipped(self.mask, step), done=(*self.done, step), undone=self.undone[1:])

    def onward(self, step: Step, mask: Mask) -> History:
        """Return the history after a new step, which led to ``mask``; what was undone is gone."""
        return replace(self, mask=mask, done=(*self.done, step), undone=())

    def check_room(self, packed: Packed) -> None:
        """Refuse a prompt that would make the history larger than what is kept and logged.

        Raises:
            InputError: too many prompts, or too large ones.
        """
        if len(self.done) >= MAX_PROMPTS:
            raise InputError(
                f"expected at most {MAX_PROMPTS} prompts for one mask, got one more: send a scribble instead"
            )
        parts = sum(_parts(step.packed) for step in self.done) + _parts(packed)
        held = sum(step.nbytes for step in self.done)
        if parts > MAX_RUNS or held > MAX_HISTORY_BYTES:
            raise InputError(
                f"expected prompts of at most {MAX_RUNS} points and runs and {MAX_HISTORY_BYTES >> 20} MB of changes "
                f"for one mask, got {parts} and {held >> 20} MB: save the label and begin again from it"
            )


def _flipped(mask: Mask, step: Step) -> Mask:
    other = step.change.edit(mask).applied(mask)
    other.setflags(write=False)
    return other


def _parts(packed: Packed) -> int:
    if isinstance(packed, Runs):
        return len(packed)
    return len(packed.at) if isinstance(packed, ExtremePoints) else 1
