"""Small images whose objects are known, and the method under test."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tumorseg.geometry import Grid
from tumorseg.types import StudyImage

Mask = NDArray[np.bool_]
SHAPE = (9, 64, 72)


def ball(
    centre: tuple[float, float, float], radius: float, shape: tuple[int, int, int] = SHAPE, dk: float = 3.0
) -> Mask:
    """Return a ball ``(K, J, I)`` around ``(k, j, i)``, slices ``dk`` pixels apart."""
    k, j, i = np.ogrid[tuple(map(slice, shape))]
    near: Mask = ((k - centre[0]) * dk) ** 2 + (j - centre[1]) ** 2 + (i - centre[2]) ** 2 <= radius**2
    return near


def image_of(
    voxels: NDArray[Any], spacing: tuple[float, float, float] = (1.0, 1.0, 3.0), *, known: bool = True
) -> StudyImage:
    """Return voxels ``(C, K, J, I)`` as an image with a spacing along i, j, k."""
    grid = Grid(voxels.shape[1:], np.diag([*spacing, 1.0]))
    return StudyImage(voxels, grid, ("",) * len(voxels), spacing_known=known)


def noisy(objects: Mask, contrast: float = 60.0, seed: int = 0, channels: int = 1) -> NDArray[np.float32]:
    """Return ``(channels, K, J, I)`` where objects are brighter in the first channel, all with noise of 10."""
    voxels = 100 + 10 * np.random.default_rng(seed).standard_normal((channels, *objects.shape))
    voxels[0] += contrast * objects
    return voxels.astype(np.float32)


def dice(a: Mask, b: Mask) -> float:
    """Return the overlap of two masks, one of which holds something."""
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))
