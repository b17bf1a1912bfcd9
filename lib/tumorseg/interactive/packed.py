"""Prompts and changes of masks as they are kept: small, hashable, and exactly what they were when they are taken out.

A scribble is an array as large as its image, nearly all of it zero; a session of a hundred scribbles holds their runs.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, overload

import numpy as np

from tumorseg.errors import InputError
from tumorseg.interactive.base import Edit
from tumorseg.interactive.prompts import Box, Click, ExtremePoints, Prompt, Propagate, Scribble

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]

#: Runs of one scribble; a stroke has one for each row that it crosses.
MAX_RUNS = 1 << 18
MARKS = (-1, 0, 1)
# The least effort: changes are made of few long runs, and a click waits for this.
_ZLIB_LEVEL = 1


@dataclass(frozen=True)
class Runs:
    """A scribble as runs of equal marks, slice by slice, row by row.

    Attributes:
        shape: ``(K, J, I)`` of the marks.
        values: int8, the mark of each run: 1, -1 or 0.
        lengths: little-endian int64, the voxels of each run; their sum is ``K * J * I``.
    """

    shape: tuple[int, int, int]
    values: bytes
    lengths: bytes

    def __len__(self) -> int:
        """Return the number of runs."""
        return len(self.values)

    def pairs(self) -> list[list[int]]:
        """Return ``[mark, voxels]`` of each run."""
        values, lengths = self._arrays()
        return [list(pair) for pair in zip(values.tolist(), lengths.tolist(), strict=True)]

    def scribble(self) -> Scribble:
        """Return the scribble itself; only voxels that are marked are written, and no other array is made."""
        values, lengths = self._arrays()
        marked, ends = values != 0, np.cumsum(lengths)
        marks = np.zeros(self.shape, np.int8)
        line = marks.reshape(-1)
        runs = zip(*(part[marked].tolist() for part in (values, ends - lengths, ends)), strict=True)
        for value, start, end in runs:
            line[start:end] = value
        return Scribble(marks)

    def _arrays(self) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
        return np.frombuffer(self.values, np.int8), np.frombuffer(self.lengths, "<i8")


Packed: TypeAlias = Click | Box | ExtremePoints | Propagate | Runs


def pack(prompt: Prompt) -> Packed:
    """Return a prompt as it is kept; equal prompts are equal then, scribbles too.

    Raises:
        InputError: a scribble with other marks than 1, 0 and -1, or with more than :data:`MAX_RUNS` runs.
    """
    return _runs(prompt) if isinstance(prompt, Scribble) else prompt


def unpack(packed: Packed) -> Prompt:
    """Return the prompt itself."""
    return packed.scribble() if isinstance(packed, Runs) else packed


class Unpacked(Sequence[Prompt]):
    """Kept prompts as a model sees them; a scribble's array is there only while somebody looks at it."""

    def __init__(self, packed: Sequence[Packed]) -> None:
        self._packed = packed

    def __len__(self) -> int:
        return len(self._packed)

    @overload
    def __getitem__(self, index: int) -> Prompt: ...
    @overload
    def __getitem__(self, index: slice) -> Unpacked: ...
    def __getitem__(self, index: int | slice) -> Prompt | Unpacked:
        return Unpacked(self._packed[index]) if isinstance(index, slice) else unpack(self._packed[index])


def _runs(scribble: Scribble) -> Runs:
    marks = np.ascontiguousarray(scribble.marks).reshape(-1)
    if not marks.size:
        raise InputError(f"expected a scribble over some voxels, got marks of {scribble.marks.shape} (K, J, I)")
    low, high = int(marks.min()), int(marks.max())
    if low < -1 or high > 1:
        raise InputError(f"expected marks of 1 (belongs to it), -1 (does not) and 0, got {low} to {high}")
    changes = marks[1:] != marks[:-1]
    count = 1 + int(np.count_nonzero(changes))  # counted first: of noise their places are eight times the image
    if count > MAX_RUNS:
        raise InputError(f"expected a scribble of at most {MAX_RUNS} runs, got {count}: draw strokes, not areas")
    starts = np.concatenate([[0], np.flatnonzero(changes) + 1])
    lengths = np.diff(starts, append=marks.size)
    k, j, i = scribble.marks.shape
    return Runs((k, j, i), marks[starts].astype(np.int8).tobytes(), lengths.astype("<i8").tobytes())


@dataclass(frozen=True)
class Change:
    """Which voxels of a box became the other value; the same change leads there and back.

    Attributes:
        origin: ``(k, j, i)`` index of the box's first voxel.
        shape: ``(k, j, i)`` of the box.
        bits: compressed, one bit a voxel.
    """

    origin: tuple[int, int, int]
    shape: tuple[int, int, int]
    bits: bytes

    @classmethod
    def of(cls, mask: Mask, edit: Edit) -> Change:
        """Say what an edit changes in ``mask`` ``(K, J, I)``.

        Raises:
            ValueError: the edit does not lie in the mask; whoever answered with it is broken.
        """
        ends = [start + size for start, size in zip(edit.origin, edit.voxels.shape, strict=True)]
        if min(edit.origin) < 0 or any(end > size for end, size in zip(ends, mask.shape, strict=True)):
            raise ValueError(f"expected an edit inside of {mask.shape}, got {edit.voxels.shape} at {edit.origin}")
        k, j, i = edit.voxels.shape
        changed = mask[edit.region] ^ edit.voxels
        return cls(edit.origin, (k, j, i), zlib.compress(np.packbits(changed).tobytes(), _ZLIB_LEVEL))

    def edit(self, mask: Mask) -> Edit:
        """Return the edit that leads from ``mask`` to the other side of the change."""
        count = int(np.prod(self.shape))
        bits = np.frombuffer(zlib.decompress(self.bits), np.uint8)
        changed = np.unpackbits(bits, count=count).reshape(self.shape).astype(bool)
        region = Edit(self.origin, changed).region
        return Edit(self.origin, mask[region] ^ changed)
