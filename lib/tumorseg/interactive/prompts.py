"""What a person can ask for: clicks, boxes, extreme points, scribbles, slices to follow; checked against their grid.

Every place is a voxel index ``(i, j, k)`` = column, row, slice of the image's own grid, whole numbers: a viewer knows
which voxel was under the pointer, and rounding here would be a guess about what it meant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from tumorseg.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Index: TypeAlias = tuple[int, int, int]
#: Prompts of one mask; who gives more draws, and there are scribbles for that.
MAX_PROMPTS = 1000
AXES = ("i", "j", "k")


@dataclass(frozen=True)
class Click:
    """A voxel that belongs to what is segmented, or does not.

    Attributes:
        at: voxel index ``(i, j, k)``.
        positive: whether it belongs to it.
    """

    at: Index
    positive: bool = True


@dataclass(frozen=True)
class Box:
    """A box around what is segmented, and nothing of it outside.

    Attributes:
        first: smallest voxel index ``(i, j, k)`` in it.
        last: largest voxel index in it, inclusive: a box of one voxel has ``first == last``.
    """

    first: Index
    last: Index

    def __post_init__(self) -> None:
        if any(a > b for a, b in zip(self.first, self.last, strict=True)):
            raise InputError(f"expected a box from its smallest to its largest index, got {self.first} to {self.last}")

    @property
    def region(self) -> tuple[slice, slice, slice]:
        """Where it lies in an array ``(K, J, I)``."""
        k, j, i = (slice(a, b + 1) for a, b in zip(self.first[::-1], self.last[::-1], strict=True))
        return k, j, i


@dataclass(frozen=True)
class ExtremePoints:
    """The outermost voxels of what is segmented, at least two: left, right, top, bottom, and first and last slice.

    Maninis et al. 2018, "Deep extreme cut", section 3: they lie on its border and span its box.

    Attributes:
        at: voxel indices ``(i, j, k)``.
    """

    at: tuple[Index, ...]

    def __post_init__(self) -> None:
        if len(self.at) < 2:
            raise InputError(f"expected at least two extreme points, got {len(self.at)}")

    @property
    def box(self) -> Box:
        """The box that they span."""
        columns = list(zip(*self.at, strict=True))
        low, high = (tuple(ends(c) for c in columns) for ends in (min, max))
        return Box((low[0], low[1], low[2]), (high[0], high[1], high[2]))


@dataclass(frozen=True, eq=False)
class Scribble:
    """Strokes over voxels that belong to what is segmented, and over such that do not.

    Attributes:
        marks: ``(K, J, I)`` int8 of the image's grid: 1 belongs to it, -1 does not, 0 says nothing.
    """

    marks: NDArray[np.int8]

    def __post_init__(self) -> None:
        if self.marks.ndim != 3 or self.marks.dtype.kind != "i":
            raise InputError(f"expected marks (K, J, I) of signed integers, got {self.marks.shape} {self.marks.dtype}")


@dataclass(frozen=True)
class Propagate:
    """Let the neighbours of a slice follow it (:mod:`tumorseg.interactive.propagate`).

    Every method does this alike, so that none lists it among its kinds.

    Attributes:
        slice: index of the slice that is right.
        axis: 0, 1 or 2 of ``(K, J, I)``: along which the slices are stacked.
        first: smallest index of a slice that may follow; None lets it end by itself.
        last: largest index of a slice that may follow; None lets it end by itself.
    """

    slice: int
    axis: int = 0
    first: int | None = None
    last: int | None = None

    def __post_init__(self) -> None:
        if self.axis not in (0, 1, 2):
            raise InputError(f"expected 0, 1 or 2 as the axis of the slices, got {self.axis}")
        first, last = (self.slice if end is None else end for end in (self.first, self.last))
        if not first <= self.slice <= last:
            raise InputError(f"expected slices around the corrected one, {self.slice}, got {first} to {last}")


Prompt: TypeAlias = Click | Box | ExtremePoints | Scribble | Propagate


def check(prompts: Sequence[Prompt], shape: tuple[int, int, int]) -> None:
    """Refuse prompts that do not lie on a grid of ``shape`` (K, J, I).

    Raises:
        InputError: too many, one outside of the volume, or marks of another shape.
    """
    if len(prompts) > MAX_PROMPTS:
        raise InputError(f"expected at most {MAX_PROMPTS} prompts, got {len(prompts)}: send a scribble instead")
    for prompt in prompts:
        if isinstance(prompt, Scribble):
            if prompt.marks.shape != shape:
                raise InputError(f"expected a scribble {shape} (K, J, I) as its image, got {prompt.marks.shape}")
            continue
        if isinstance(prompt, Propagate):
            _check_slices(prompt, shape)
        for at in places(prompt):
            _check_inside(at, shape)


def places(prompt: Prompt) -> tuple[Index, ...]:
    """Return the voxel indices that a prompt names; none for a scribble and for slices."""
    if isinstance(prompt, Click):
        return (prompt.at,)
    if isinstance(prompt, Box):
        return (prompt.first, prompt.last)
    return prompt.at if isinstance(prompt, ExtremePoints) else ()


def _check_inside(at: Index, shape: tuple[int, int, int]) -> None:
    for name, index, size in zip(AXES, at, shape[::-1], strict=True):
        if not 0 <= index < size:
            raise InputError(f"the point {list(at)} lies outside of the volume: expected {name} in 0..{size - 1}")


def _check_slices(prompt: Propagate, shape: tuple[int, int, int]) -> None:
    count = shape[prompt.axis]
    for at in (prompt.slice, prompt.first, prompt.last):
        if at is not None and not 0 <= at < count:
            raise InputError(f"the slice {at} lies outside of the volume: expected 0..{count - 1}")
