"""Between an image's own voxels and the window that the network sees around a click.

The network works on the grid of :class:`tumorseg.models.preparation.Prepared`: axial, of the size of pixel it was
trained on, cut to the head and padded. A window there is small, so only its part of a mask goes there and back. Where
the image's axes are merely permuted or flipped, both ways copy voxels; where pixels are resampled, a voxel is marked
that is marked at least by half, as everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorseg.geometry import Grid, Reorientation, resample
from tumorseg.models.preparation import HALF

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tumorseg.interactive.prompts import Index
    from tumorseg.models.preparation import Prepared

    Mask = NDArray[np.bool_]

#: Windows begin at multiples of this, where the trunk's coarse features have a pixel's corner.
ALIGN = 4


@dataclass(frozen=True)
class Window:
    """A box of the padded voxels: ``origin`` (k, j, i), which may lie outside, and ``shape``."""

    origin: tuple[int, int, int]
    shape: tuple[int, int, int]

    def index(self, place: tuple[int, int, int]) -> Index:
        """Return a place (k, j, i) as the index (i, j, k) in the window."""
        k, j, i = (at - start for at, start in zip(place, self.origin, strict=True))
        return i, j, k


@dataclass(frozen=True, eq=False)
class Frame:
    """The way between an image and its padded voxels.

    Attributes:
        target: the image's own grid.
        working: the network's grid, before the cut.
        turn: from the image's axes to the axial ones.
        shift: ``(k, j, i)``, padded index minus working index.
    """

    target: Grid
    working: Grid
    turn: Reorientation
    shift: tuple[int, int, int]

    @classmethod
    def of(cls, prepared: Prepared, pads: tuple[int, int]) -> Frame:
        """Take the way of a prepared image; ``pads`` are the rows above and the columns left of its cut."""
        shift = (0, pads[0] - prepared.rows.start, pads[1] - prepared.columns.start)
        return cls(prepared.target, prepared.working, prepared.turn, shift)

    @cached_property
    def axial(self) -> Grid:
        """The image's own voxels in axial order."""
        return self.turn.grid(self.target)

    @cached_property
    def exact(self) -> bool:
        """Whether no voxel is resampled."""
        return self.working.same_as(self.axial)

    def place(self, at: Index) -> tuple[int, int, int]:
        """Return where a voxel (i, j, k) of the image lies among the padded ones, ``(k, j, i)``."""
        index = np.rint(self.working.indices(self.target.points(np.array([at])))[0]).astype(int)[::-1]
        k, j, i = (int(at) + shift for at, shift in zip(index, self.shift, strict=True))
        return k, j, i

    def around(self, at: Index, depth: int, side: int) -> Window:
        """Return the window around a voxel (i, j, k) of the image; thin stacks have fewer slices than ``depth``."""
        k, j, i = self.place(at)
        depth = min(depth, self.working.shape[0])
        first = min(max(0, k - depth // 2), self.working.shape[0] - depth)
        row, column = ((at - side // 2) // ALIGN * ALIGN for at in (j, i))
        return Window((first, row, column), (depth, side, side))

    def take(self, mask: Mask, window: Window) -> Mask:
        """Return a window of a mask ``(K, J, I)`` on the image's own grid; what lies outside is not marked."""
        if not self.exact:
            return self._take_resampled(mask, window)
        box = self._inside(window, self.working)
        out = np.zeros(window.shape, bool)
        begin = self._origin(window)
        part = tuple(slice(s.start - b, s.stop - b) for s, b in zip(box, begin, strict=True))
        out[part] = self.turn.apply(mask[self.turn.region(box, mask.shape)])
        return out

    def give(self, probability: NDArray[np.float32], window: Window, at: Index) -> tuple[tuple[int, int, int], Mask]:
        """Bring what the network says of a window to the image's own grid.

        Args:
            probability: of the window's shape.
            window: where.
            at: the voxel (i, j, k) of the image that was clicked; it is part of the answer's box.

        Returns:
            Origin (k, j, i) of a box of the image's own voxels, and the box, True where at least :data:`HALF`.
        """
        if self.exact:
            box = self._inside(window, self.working)
            begin = self._origin(window)
            part = tuple(slice(s.start - b, s.stop - b) for s, b in zip(box, begin, strict=True))
            wanted = probability[part] >= HALF
        else:
            box = self._own_box(window, at)
            origin, shape = [s.start for s in box], [s.stop - s.start for s in box]
            source = self.working.part(self._origin(window), window.shape)
            wanted = resample(probability, source, self.axial.part(origin, shape)) >= HALF
        region = self.turn.region(box, self.target.shape)
        return (region[0].start, region[1].start, region[2].start), self.turn.invert(wanted)

    def _take_resampled(self, mask: Mask, window: Window) -> Mask:
        box = self._own_box(window, None)
        origin, shape = [s.start for s in box], [s.stop - s.start for s in box]
        part = self.turn.apply(mask[self.turn.region(box, mask.shape)]).astype(np.float32)
        goal = self.working.part(self._origin(window), window.shape)
        taken: Mask = resample(part, self.axial.part(origin, shape), goal) >= HALF
        return taken

    def _origin(self, window: Window) -> list[int]:
        """Where a window begins in the working grid, (k, j, i)."""
        return [start - shift for start, shift in zip(window.origin, self.shift, strict=True)]

    def _inside(self, window: Window, grid: Grid) -> tuple[slice, slice, slice]:
        """The part of a window that lies in the working grid, as a box there."""
        ends = zip(self._origin(window), window.shape, grid.shape, strict=True)
        k, j, i = (slice(min(max(0, a), n), max(0, min(a + size, n))) for a, size, n in ends)
        return k, j, i

    def _own_box(self, window: Window, at: Index | None) -> tuple[slice, slice, slice]:
        """The axial voxels of the image around a window, and around a clicked one."""
        corners = self.axial.indices(self.working.part(self._origin(window), window.shape).corners())
        if at is not None:
            corners = np.vstack([corners, self.axial.indices(self.target.points(np.array([at])))])
        low, high = np.floor(corners.min(axis=0) - 0.5)[::-1], np.ceil(corners.max(axis=0) + 0.5)[::-1]
        k, j, i = (_clipped(a, b, n) for a, b, n in zip(low, high, self.axial.shape, strict=True))
        return k, j, i


def _clipped(low: float, high: float, size: int) -> slice:
    return slice(min(max(0, int(low)), size), max(0, min(int(high) + 1, size)))


def cut(values: NDArray[Any], window: Window, scale: int) -> NDArray[np.float32]:
    """Cut a window out of padded features; what lies outside is 0.

    Args:
        values: ``(K, C, H / scale, W / scale)``.
        window: in padded voxels.
        scale: pixels per feature.

    Returns:
        ``(D, C, h / scale, w / scale)``.
    """
    (k, *starts), (depth, *sides) = window.origin, window.shape
    out = np.zeros((depth, values.shape[1], *(side // scale for side in sides)), np.float32)
    places = []
    for start, side, size in zip(starts, sides, values.shape[2:], strict=True):
        first, last = start // scale, (start + side) // scale
        low, high = min(max(0, first), size), max(0, min(last, size))
        places.append((slice(low - first, max(low, high) - first), slice(low, max(low, high))))
    (rows, from_rows), (columns, from_columns) = places
    out[:, :, rows, columns] = values[k : k + depth, :, from_rows, from_columns]
    return out
