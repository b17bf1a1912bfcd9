"""Where 3D Slicer counts slices from the other end than the file does.

Slicer gives every volume axes of which k points along i x j: it reads the slices of a file with other axes in reverse
(``ForceRightHandedIJKCoordinateSystem`` of its reader), and the indices of points are counted in what it holds. A
series of DICOM files has such axes from the start, in OHIF too; NIfTI and NRRD may have others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tumorseg.interactive.prompts import Box, Click, Index, Prompt

if TYPE_CHECKING:
    from tumorseg.geometry import Grid


def as_stored(prompts: Sequence[Prompt], grid: Grid) -> tuple[Prompt, ...]:
    """Return a viewer's clicks and boxes in the voxels of the image as it is stored.

    Args:
        prompts: as a viewer counts, ``(i, j, k)``.
        grid: of the image; where its k points along i x j nothing is to be done.
    """
    import numpy as np

    if np.linalg.det(grid.affine[:3, :3]) > 0:
        return tuple(prompts)
    last = grid.shape[0] - 1
    return tuple(_reversed(prompt, last) for prompt in prompts)


def _reversed(prompt: Prompt, last: int) -> Prompt:
    if isinstance(prompt, Click):
        return Click(_from_the_end(prompt.at, last), positive=prompt.positive)
    if isinstance(prompt, Box):
        (i, j, k), (end_i, end_j, end_k) = _from_the_end(prompt.first, last), _from_the_end(prompt.last, last)
        return Box((i, j, end_k), (end_i, end_j, k))
    return prompt


def _from_the_end(at: Index, last: int) -> Index:
    i, j, k = at
    return i, j, last - k
