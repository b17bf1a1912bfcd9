"""Somebody who labels what is asked: the truth, or the truth with an unsteady border."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import gaussian_filter

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A hand's deviation changes slowly along the border; in pixels.
_WAVE = 3.0


def annotate(truth: NDArray[np.uint8], noise: float, name: str) -> NDArray[np.uint8]:
    """Return the mask ``(H, W)`` that is drawn for ``truth``.

    Args:
        truth: 0 or 1.
        noise: 0 draws the truth; at 1 the border wanders by about the width of the blur, a few pixels.
        name: of the slice; who labels it twice draws the same.
    """
    if noise == 0 or not truth.any():
        return truth
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    field: NDArray[Any] = gaussian_filter(rng.normal(size=truth.shape), _WAVE)
    field *= noise * 0.5 / field.std()
    soft: NDArray[Any] = gaussian_filter(truth.astype(np.float64), _WAVE / 2)
    return np.asarray(soft + field >= 0.5).astype(np.uint8)
