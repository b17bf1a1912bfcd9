"""Whether a label lies on the voxels of its image: the same centres, in whichever order its file lists them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations, product
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorseg.geometry import Grid, Reorientation

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Centres this near to each other, in voxels of the image along each axis, are the same voxel. Headers hold rounded
#: numbers (NIfTI 32 bits, DICOM 16 characters), and half a voxel would be the next one.
CENTRE_TOLERANCE_VOXELS = 0.05

_AS_IT_IS = Reorientation((0, 1, 2), (False, False, False))


@dataclass(frozen=True)
class Placement:
    """How to bring a label's voxels onto the image's: first reorient, then put down at ``start``.

    Attributes:
        turn: changes axis order and signs.
        start: image index (k, j, i) of the reoriented label's first voxel.
        shape: of the image, (K, J, I).
    """

    turn: Reorientation
    start: tuple[int, int, int]
    shape: tuple[int, int, int]

    @property
    def is_turned(self) -> bool:
        """Whether the file lists its voxels in another order than the image's."""
        return self.turn != _AS_IT_IS

    def is_part(self, label: Grid) -> bool:
        """Whether the label covers a part of the image only."""
        return self.turn.grid(label).shape != self.shape

    def apply(self, voxels: NDArray[Any]) -> NDArray[Any]:
        """Bring ``(..., K, J, I)`` voxels of the label onto the image; 0 where the label says nothing."""
        turned = self.turn.apply(voxels)
        if turned.shape[-3:] == self.shape:
            return turned
        whole = np.zeros((*turned.shape[:-3], *self.shape), turned.dtype)
        k, j, i = (slice(first, first + n) for first, n in zip(self.start, turned.shape[-3:], strict=True))
        whole[..., k, j, i] = turned
        return whole


def same_lattice(label: Grid, image: Grid, *, part: bool = False) -> Placement | None:
    """Find how a label's voxels are the image's, None where they are others.

    Every order and direction of the axes is tried, the file's own first: Slicer turns left-handed images when it
    reads them, and saves what is drawn on them that way.

    Args:
        label: where the label's voxels lie.
        image: where the image's lie.
        part: whether it may cover a part of the image only.
    """
    for order in permutations((0, 1, 2)):
        shape = tuple(label.shape[axis] for axis in order)
        if shape != image.shape and not (part and all(n <= size for n, size in zip(shape, image.shape, strict=True))):
            continue
        for flips in product((False, True), repeat=3):
            turn = Reorientation((order[0], order[1], order[2]), (flips[0], flips[1], flips[2]))
            start = _start(turn.grid(label), image)
            if start is not None and _inside(start, shape, image.shape):
                return Placement(turn, start, image.shape)
    return None


def _inside(start: tuple[int, ...], shape: tuple[int, ...], whole: tuple[int, ...]) -> bool:
    return all(0 <= first <= size - n for first, n, size in zip(start, shape, whole, strict=True))


def _start(label: Grid, image: Grid) -> tuple[int, int, int] | None:
    """Return the image index (k, j, i) of the label's first voxel, None where a centre lies between the image's."""
    found = image.indices(label.corners())
    first = np.rint(found[0])
    k, j, i = (n - 1 for n in label.shape)
    expected = first + np.array([(a, b, c) for a in (0, i) for b in (0, j) for c in (0, k)])
    if np.abs(found - expected).max() > CENTRE_TOLERANCE_VOXELS:
        return None
    return int(first[2]), int(first[1]), int(first[0])
