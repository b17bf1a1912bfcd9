"""The part of a volume that a prompt is answered in, at a resolution that is affordable.

Within the budget of voxels it is the image's own. A larger window is solved on blocks of voxels first, and then a few
iterations at the full resolution, started from that, move its outline to the pixel. A window that is too large even
for those is looked at in steps of several voxels, and so is its outline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorseg.interactive.classical.walker import Lattice, walk

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tumorseg.interactive.classical.encoded import EncodedImage

    Region = tuple[slice, slice, slice]
    Field = NDArray[np.float32]

#: Voxels that are solved at once.
BUDGET = 160_000
#: Voxels of a window that are looked at: a larger one is looked at in steps.
LARGEST = 1_000_000
#: Iterations of a solution, and of a refinement.
STEPS, FINE_STEPS = 60, 5
#: How much a voxel's own look counts beside its neighbours.
STRENGTH = 0.15


@dataclass(frozen=True, eq=False)
class Window:
    """A box of the volume, every voxel of it or one of each ``step``.

    Attributes:
        region: where it lies, ``(k, j, i)``.
        features: ``(C, k, j, i)`` of its voxels.
        distance: of neighbours along k, j, i, in pixels of the volume.
        step: along k, j, i.
    """

    region: Region
    features: Field
    distance: tuple[float, float, float]
    step: tuple[int, int, int] = (1, 1, 1)

    @classmethod
    def of(cls, encoded: EncodedImage, region: Region) -> Window:
        """Cut it out."""
        size = [part.stop - part.start for part in region]
        step = _sides(size, encoded.distance, LARGEST)
        every = tuple(slice(part.start, part.stop, by) for part, by in zip(region, step, strict=True))
        k, j, i = (length * by for length, by in zip(encoded.distance, step, strict=True))
        return cls(region, encoded.features[(slice(None), *every)].astype(np.float32), (k, j, i), step)

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(k, j, i)`` of its voxels."""
        k, j, i = self.features.shape[1:]
        return k, j, i

    @property
    def origin(self) -> tuple[int, int, int]:
        """Index of its first voxel in the volume, ``(k, j, i)``."""
        k, j, i = (part.start for part in self.region)
        return k, j, i

    def cut(self, volume: NDArray[Any]) -> NDArray[Any]:
        """Return the window's voxels of a volume ``(K, J, I)``."""
        return volume[tuple(slice(part.start, part.stop, by) for part, by in zip(self.region, self.step, strict=True))]

    def full(self, voxels: NDArray[Any]) -> NDArray[Any]:
        """Return ``(k, j, i)`` for every voxel of the region: each of the window's stands for its step."""
        for axis, by in enumerate(self.step):
            voxels = np.repeat(voxels, by, axis) if by > 1 else voxels
        return voxels[tuple(slice(part.stop - part.start) for part in self.region)]

    def place(self, at: Sequence[int]) -> tuple[int, int, int]:
        """Return where the voxel ``(i, j, k)`` of the volume lies in the window; perhaps outside of it."""
        k, j, i = ((index - first) // by for index, first, by in zip(at[::-1], self.origin, self.step, strict=True))
        return k, j, i


def _sides(size: Sequence[int], distance: Sequence[float], most: int) -> tuple[int, int, int]:
    """Return the voxels along k, j, i of a block, such that at most so many blocks cover ``size`` voxels."""
    sides = [1, 1, 1]
    while np.prod([-(-length // side) for length, side in zip(size, sides, strict=True)]) > most:
        free = [d * s if n > s else np.inf for d, s, n in zip(distance, sides, size, strict=True)]
        sides[2 - int(np.argmin(free[::-1]))] += 1  # the shortest side grows: blocks become cubes
    return sides[0], sides[1], sides[2]


def solve(window: Window, prior: Field, marks: NDArray[np.int8], *, fine: bool = True) -> Field:
    """Return the probability of the foreground in a window.

    Args:
        window: what is looked at.
        prior: ``(k, j, i)`` probability by each voxel's own look.
        marks: ``(k, j, i)`` 1 foreground, -1 background, 0 open.
        fine: whether the outline of a large window is wanted to the pixel.
    """
    block = _sides(window.shape, window.distance, BUDGET)
    start = None if block == (1, 1, 1) else _solve_blocks(window, prior, marks, block)
    if start is not None and not fine:
        return start
    lattice = Lattice.of(window.features, window.distance)
    return walk(lattice, prior, STRENGTH, marks, start, steps=STEPS if start is None else FINE_STEPS)


def _solve_blocks(window: Window, prior: Field, marks: NDArray[np.int8], block: tuple[int, int, int]) -> Field:
    from scipy import ndimage

    features = np.stack([means(channel, block) for channel in window.features])
    k, j, i = (d * b for d, b in zip(window.distance, block, strict=True))
    summed = means(marks.astype(np.float32), block)  # a block with marks of both kinds is what most of them say
    coarse = walk(
        Lattice.of(features, (k, j, i)), means(prior, block), STRENGTH, np.sign(summed).astype(np.int8), steps=STEPS
    )
    fine = ndimage.zoom(coarse, block, order=1, mode="nearest", grid_mode=True)
    return np.asarray(fine[tuple(slice(size) for size in window.shape)], np.float32)


def means(field: NDArray[Any], block: tuple[int, int, int]) -> Field:
    """Return the mean of each block of ``field`` ``(k, j, i)``; blocks at the end repeat the last voxels."""
    pad = [(0, -size % side) for size, side in zip(field.shape, block, strict=True)]
    full = np.pad(field, pad, mode="edge")
    k, j, i = (size // side for size, side in zip(full.shape, block, strict=True))
    split = full.reshape(k, block[0], j, block[1], i, block[2])
    return np.asarray(split.mean(axis=(1, 3, 5)), np.float32)


def grown(region: Sequence[slice], margin: Sequence[int], shape: Sequence[int]) -> Region:
    """Return a region with a margin on each side, as far as the volume goes."""
    k, j, i = (
        slice(max(part.start - by, 0), min(part.stop + by, size))
        for part, by, size in zip(region, margin, shape, strict=True)
    )
    return k, j, i
