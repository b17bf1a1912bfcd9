"""Connected parts of a mask: which are lesions, and which are specks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def specks(mask: NDArray[np.bool_], fraction: float) -> NDArray[np.bool_]:
    """Find the connected parts that are small beside the largest one.

    Args:
        mask: ``(K, J, I)``.
        fraction: parts with fewer voxels than this share of the largest are specks; 0 finds none.

    Returns:
        ``(K, J, I)``, True on specks. Voxels that share a face, an edge or a corner are connected.
    """
    out = np.zeros(mask.shape, bool)
    if fraction <= 0 or not mask.any():
        return out
    from scipy import ndimage  # half a second to import: not before something was found

    box = tuple(_extent(mask, axis) for axis in range(3))
    parts, count = ndimage.label(mask[box], structure=np.ones((3, 3, 3)))
    if count > 1:
        sizes = np.bincount(parts.ravel())
        sizes[0] = 0
        small = sizes < fraction * sizes.max()
        small[0] = False
        out[box] = small[parts]
    return out


def _extent(mask: NDArray[Any], axis: int) -> slice:
    filled = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
    return slice(int(filled[0]), int(filled[-1]) + 1)
