"""Somebody who labels what is asked: the truth, or the truth with an unsteady border."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A hand's deviation changes slowly along the border; in pixels.
_WAVE = 3.0
#: Standard deviations that a hand is off at most.
_MOST = 2.0


def annotate(truth: NDArray[np.uint8], noise: float, name: str) -> NDArray[np.uint8]:
    """Return the mask ``(H, W)`` that is drawn for ``truth``.

    The border is moved in and out along its distance map, so nothing is drawn far from a lesion; one that is thinner
    than the deviation can be missed.

    Args:
        truth: 0 or 1.
        noise: 0 draws the truth; at 1 the border is off by 1.5 pixels (root mean square) and 3 at most.
        name: of the slice; who labels it twice draws the same.
    """
    if noise == 0 or not truth.any():
        return truth
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    field: NDArray[Any] = gaussian_filter(rng.normal(size=truth.shape), _WAVE)
    off = noise * _WAVE / _MOST * np.clip(field / field.std(), -_MOST, _MOST)
    return np.asarray(_inside(truth) + off > 0).astype(np.uint8)


def _inside(truth: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return how many pixels each pixel's centre lies within the border, negative outside."""
    within: NDArray[np.float64] = distance_transform_edt(truth)
    if truth.all():
        return within
    around: NDArray[np.float64] = distance_transform_edt(truth == 0)
    return np.where(truth > 0, within - 0.5, 0.5 - around)
