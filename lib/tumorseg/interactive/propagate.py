"""Correct one slice, and the neighbouring slices follow until told otherwise.

The way of a corrected slice through its neighbours, on each side:

1. what the object looks like is learned from the corrected slice, and from the nearest one that is held;
2. slice by slice the object is looked for (:mod:`tumorseg.interactive.carry`): the expected shape is that of the slice
   before. Where a model's own proposal agrees with the corrected slice, it has a say in the next one;
3. a slice that a person clicked or drew in, or let others follow, is held: it is never changed. Up to the nearest of
   them the expected shapes are those between the two (:mod:`tumorseg.interactive.shapes`), and there it ends;
4. otherwise it ends where it was told to, or by itself: at the edge of the image, where nearly nothing is left, where
   the object no longer looks different from its surroundings, or where it would suddenly be another shape.

In each slice only what hangs together with the object is replaced; other lesions in it stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tumorseg.errors import InputError
from tumorseg.interactive.base import Edit
from tumorseg.interactive.carry import Carried, carry
from tumorseg.interactive.evidence import evidence_of
from tumorseg.interactive.likeness import Likeness
from tumorseg.interactive.method import numbers_of, version_of
from tumorseg.interactive.prompts import Click, Prompt, Propagate, Scribble, check
from tumorseg.interactive.shapes import between, hanging, signed_distance

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tumorseg.interactive.base import Encoded

    Mask = NDArray[np.bool_]

#: Grows with every change of the way that the numbers (:func:`version`) do not show.
METHOD = "follow1"
# Chosen on training patients: see docs/interactive.md.
#: An object of fewer pixels, or of a smaller part of its area in the corrected slice, is over.
FEWEST_PIXELS, SMALLEST_PART = 4, 0.03
#: Difference of likeness between an object and its surroundings below which it is over.
LEAST_CONTRAST = 0.3
#: Dice of the shapes of two neighbouring slices below which they are not the same object.
LEAST_DICE = 0.5
#: Log odds that a proposal is worth where it agreed entirely.
VOTE = 1.0

#: ``told``: up to there it was wanted; ``edge``: the image ends; ``held``: the next slice holds prompts; ``gone``:
#: nearly nothing is left; ``unlike``: it looks like its surroundings; ``jump``: it would be another shape.
Why = Literal["told", "edge", "held", "gone", "unlike", "jump"]


@dataclass(frozen=True)
class Stop:
    """Where following ended on one side.

    Attributes:
        slice: the last slice that follows; the corrected one where none does.
        why: see :data:`Why`.
    """

    slice: int
    why: Why


@dataclass(frozen=True, eq=False)
class Propagated:
    """What became of the neighbours of a corrected slice.

    Attributes:
        edit: how the mask changes.
        before: where it ended towards slice 0.
        after: where it ended towards the last slice.
    """

    edit: Edit
    before: Stop
    after: Stop

    @property
    def note(self) -> str:
        """Say where it ended and why."""
        return f"followed to slice {self.before.slice} ({self.before.why}) and {self.after.slice} ({self.after.why})"


def propagate(encoded: Encoded, mask: Mask, before: Sequence[Prompt], prompt: Propagate) -> Propagated:
    """Let the neighbours of a slice follow it.

    Args:
        encoded: what is known of the image; it keeps :class:`tumorseg.interactive.evidence.Shows`.
        mask: ``(K, J, I)`` as it is shown; not changed.
        before: the prompts that led to it.
        prompt: which slice, along which axis, and how far.

    Raises:
        InputError: the slice is empty or not of the image, or the model keeps nothing of the image.
    """
    check([prompt], encoded.shape)
    shown, proposal = evidence_of(encoded), encoded.proposal
    walk = _Walk(
        np.moveaxis(shown, prompt.axis + 1, 1),
        None if proposal is None else np.moveaxis(proposal, prompt.axis, 0),
        np.moveaxis(mask, prompt.axis, 0),
        held_slices(before, prompt.axis),
        prompt,
    )
    changed = mask.copy()
    stops = [_follow(walk, towards, np.moveaxis(changed, prompt.axis, 0)) for towards in (-1, 1)]
    return Propagated(_edit(mask, changed), *stops)


def version() -> str:
    """Return by what this way of following is known: no model's version says it, as every model's slices follow it."""
    from tumorseg.interactive import carry, likeness, propagate
    from tumorseg.interactive.classical import appearance, features, model, walker, window

    used = (propagate, carry, likeness, appearance, features, model, walker, window)
    return version_of(METHOD, numbers_of(used))


def held_slices(prompts: Iterable[Prompt], axis: int) -> frozenset[int]:
    """Return the slices along an axis of ``(K, J, I)`` in which somebody pointed at something or asked to follow."""
    held: set[int] = set()
    for prompt in prompts:
        if isinstance(prompt, Click):
            held.add(prompt.at[2 - axis])
        elif isinstance(prompt, Scribble):
            others = tuple(other for other in range(3) if other != axis)
            held.update(np.flatnonzero((prompt.marks != 0).any(axis=others)).tolist())
        elif isinstance(prompt, Propagate) and prompt.axis == axis:
            held.add(prompt.slice)
    return frozenset(held)


@dataclass(frozen=True, eq=False)
class _Walk:
    """What is known on the way, with the slices first.

    Attributes:
        shown: ``(C, N, Y, X)`` evidence.
        proposal: ``(N, Y, X)`` bool, or None.
        mask: ``(N, Y, X)`` bool as it was.
        held: slices that are not changed.
        prompt: what was asked.
    """

    shown: NDArray[np.float16]
    proposal: Mask | None
    mask: Mask
    held: frozenset[int]
    prompt: Propagate

    def __post_init__(self) -> None:
        if not self.corrected.any():
            raise InputError(
                f"slice {self.prompt.slice} holds nothing that its neighbours could follow: mark the object there first"
            )

    @property
    def corrected(self) -> Mask:
        shape: Mask = self.mask[self.prompt.slice]
        return shape

    def end(self, towards: int) -> tuple[int, Why]:
        """Return the last slice that may change on one side, and why no other."""
        start, last = self.prompt.slice, len(self.mask) - 1
        wanted = self.prompt.first if towards < 0 else self.prompt.last
        far: list[tuple[int, Why]] = [(0 if towards < 0 else last, "edge")]
        far += [(wanted, "told")] if wanted is not None else []
        far += [(at - towards, "held") for at in self.held if (at - start) * towards > 0]
        return min(far, key=lambda end: (end[0] - start) * towards)

    def target(self, towards: int) -> tuple[int, Mask] | None:
        """Return the nearest held slice on one side and the object in it, None where it is not there."""
        start = self.prompt.slice
        ahead = [at for at in self.held if (at - start) * towards > 0]
        if not ahead:
            return None
        at = min(ahead, key=lambda slice_: abs(slice_ - start))
        shape = hanging(self.mask[at], self.corrected)
        return (at, shape) if shape.any() else None

    def vote(self, at: int, previous: int, shape: Mask) -> NDArray[np.float64] | float:
        """Return the log odds of the proposal in a slice: as sure as it was right in the one before, and only there."""
        if self.proposal is None or not self.proposal[previous].any():
            return 0.0
        right = self.proposal[previous] == shape
        sure = VOTE * _dice(self.proposal[previous], shape)
        return np.where(right, np.where(self.proposal[at], sure, -sure), 0.0)


def _follow(walk: _Walk, towards: int, changed: Mask) -> Stop:
    """Go from the corrected slice to one side, writing into ``changed`` ``(N, Y, X)``."""
    start, shape = walk.prompt.slice, walk.corrected
    end, why = walk.end(towards)
    target = walk.target(towards)
    known = [(start, shape)] + ([] if target is None else [target])
    alike = Likeness([(walk.shown[:, at], mask) for at, mask in known])
    distances = [signed_distance(mask) for _, mask in known]
    for at in range(start + towards, end + towards, towards):
        if target is None:
            expected = signed_distance(shape)
        else:
            expected = between(distances[0], distances[1], (at - start) / (target[0] - start))
        found = carry(walk.shown[:, at], expected, alike, walk.vote(at, at - towards, shape))
        over = None if target is not None else _over(found, shape, walk.corrected)
        if over is not None:
            return Stop(at - towards, over)
        was = walk.mask[at]
        changed[at] = (was & ~hanging(was, found.mask | (expected > 0))) | found.mask
        shape = found.mask
    return Stop(end, why)


def _over(found: Carried, previous: Mask, corrected: Mask) -> Why | None:
    """Say why an object is over in a slice, None where it is not."""
    if found.mask.sum() < max(FEWEST_PIXELS, SMALLEST_PART * corrected.sum()):
        return "gone"
    if found.contrast < LEAST_CONTRAST:
        return "unlike"
    return "jump" if _dice(found.mask, previous) < LEAST_DICE else None


def _dice(one: Mask, other: Mask) -> float:
    return 2.0 * int((one & other).sum()) / max(1, int(one.sum() + other.sum()))


def _edit(mask: Mask, changed: Mask) -> Edit:
    """Return the change as the smallest box around it."""
    from scipy import ndimage

    boxes: list[Any] = ndimage.find_objects((mask != changed).astype(np.int8))
    if not boxes:
        return Edit((0, 0, 0), np.zeros((0, 0, 0), bool))
    k, j, i = boxes[0]
    return Edit((k.start, j.start, i.start), changed[boxes[0]])
