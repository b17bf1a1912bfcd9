"""Histogram equalisation, plane by plane. Like CLAHE it changes intensities only and cannot be undone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tumorseg.transforms.planes import each_plane

BINS = 256


def equalise(voxels: NDArray[Any]) -> NDArray[np.float32]:
    """Spread the intensities of every plane evenly (Gonzalez and Woods, Digital Image Processing, section 3.3).

    Args:
        voxels: ``(..., J, I)`` intensities of any scale.

    Returns:
        The same shape, float32: the share of the plane's pixels that are not brighter, in [0, 1]; a constant plane is
        zero.

    Example:
        >>> equalise(np.array([[1.0, 2.0], [3.0, 9.0]])).tolist()
        [[0.25, 0.5], [0.75, 1.0]]
    """
    from skimage.exposure import equalize_hist  # a second to import

    return each_plane(lambda plane: equalize_hist(plane, nbins=BINS), voxels)
