"""The box around the head: half of an MR slice is air that a network need not look at."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tumorseg.transforms.intensity import foreground_threshold

# A row or column belongs to the head when this part of its voxels, over all slices, is brighter than air in at least
# half of the sequences: one sequence alone may have a bright haze around the head. Of the 88 LGG patients no voxel of
# a tumour lies outside; 30 % of the pixels do.
FILLED_FRACTION = 0.05
MARGIN = 4


def head_box(voxels: NDArray[Any], multiple: int = 1) -> tuple[slice, slice]:
    """Find the rows and columns that hold the head, for all slices together.

    Args:
        voxels: ``(C, K, J, I)`` intensities.
        multiple: sides are widened to a multiple of this where the image is large enough.

    Returns:
        Slices of rows (J) and of columns (I); the whole picture where no head stands out.
    """
    votes = np.zeros(voxels.shape[1:], np.uint8)
    for channel in voxels:
        votes += channel > foreground_threshold(channel)
    bright = votes >= (len(voxels) + 1) // 2
    rows = _extent(bright.mean(axis=(0, 2)), multiple)
    columns = _extent(bright.mean(axis=(0, 1)), multiple)
    return rows, columns


def _extent(profile: NDArray[np.floating[Any]], multiple: int) -> slice:
    filled = np.flatnonzero(profile > FILLED_FRACTION)
    if filled.size == 0:
        return slice(0, len(profile))
    start, stop = max(0, int(filled[0]) - MARGIN), min(len(profile), int(filled[-1]) + 1 + MARGIN)
    size = min(len(profile), -(-(stop - start) // multiple) * multiple)
    start = min(max(0, start - (size - (stop - start)) // 2), len(profile) - size)
    return slice(start, start + size)
