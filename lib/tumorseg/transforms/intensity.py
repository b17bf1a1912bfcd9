"""Intensity normalisation: z-score of every channel over the head, the air around it left out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# A voxel belongs to the head where it is brighter than this part of the volume's 99.5th percentile: air in MR is
# noise around zero, in skull-stripped volumes it is zero exactly.
FOREGROUND_FRACTION = 0.1
FOREGROUND_PERCENTILE = 99.5
CLIP = 5.0
# A percentile of every voxel of a large volume is slow and no better than one of an even sample.
_SAMPLE = 200_000


def zscore_foreground(voxels: NDArray[Any]) -> NDArray[np.float32]:
    """Normalise every channel to zero mean and unit deviation over its own foreground.

    Args:
        voxels: ``(C, K, J, I)`` intensities of any scale.

    Returns:
        ``(C, K, J, I)`` float32, clipped to plus or minus ``CLIP``. A constant channel becomes zero.
    """
    out = np.empty(voxels.shape, np.float32)
    for source, target in zip(voxels, out, strict=True):
        mean, deviation = _foreground_moments(source)
        np.subtract(source, np.float32(mean), out=target, casting="unsafe")
        target *= np.float32(1.0 / deviation)
        np.clip(target, -CLIP, CLIP, out=target)
    return out


def foreground_threshold(channel: NDArray[Any]) -> float:
    """Intensity above which a voxel of this ``(K, J, I)`` channel belongs to the head."""
    return FOREGROUND_FRACTION * float(np.percentile(_sample(channel), FOREGROUND_PERCENTILE))


def _sample(channel: NDArray[Any]) -> NDArray[np.float32]:
    flat = channel.reshape(-1)
    return flat[:: max(1, flat.size // _SAMPLE)].astype(np.float32)


def _foreground_moments(channel: NDArray[Any]) -> tuple[float, float]:
    sample = _sample(channel).astype(np.float64)
    foreground = sample[sample > foreground_threshold(channel)]
    if foreground.size == 0 or foreground.std() < 1e-6:
        return float(sample.mean()), max(float(sample.std()), 1.0)
    return float(foreground.mean()), float(foreground.std())
