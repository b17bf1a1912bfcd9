"""Contrast-limited adaptive histogram equalisation, plane by plane.

It changes intensities in place of their meaning and cannot be undone; voxels stay where they are, so that what a model
says of them needs no inverse.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tumorseg.errors import InputError
from tumorseg.transforms.planes import each_plane

CLIP_LIMIT = 0.02
TILES = 8


def clahe(voxels: NDArray[Any], clip_limit: float = CLIP_LIMIT, tiles: int = TILES) -> NDArray[np.float32]:
    """Stretch the contrast of every neighbourhood (Zuiderveld 1994, Graphics Gems IV, chapter VIII.5).

    Args:
        voxels: ``(..., J, I)`` intensities of any scale; each plane is scaled by its own range.
        clip_limit: share of a tile's pixels that one grey value may have before the rest is spread, in (0, 1].
        tiles: neighbourhoods along a side; the result blends from one to the next.

    Returns:
        The same shape, float32 in [0, 1]; a constant plane is zero.

    Example:
        >>> float(clahe(np.eye(16)).max())
        1.0
    """
    if not 0 < clip_limit <= 1 or tiles < 1:
        raise InputError(f"expected a clip limit in (0, 1] and at least one tile, got {clip_limit} and {tiles}")
    from skimage.exposure import equalize_adapthist  # a second to import

    size = tuple(max(1, side // tiles) for side in voxels.shape[-2:])
    return each_plane(lambda plane: equalize_adapthist(plane, kernel_size=size, clip_limit=clip_limit), voxels)
