"""Any image -> at most three even channels in [0, 1], whatever its modality, units and outliers.

Per channel a monotone map, half linear between robust ends and half the rank of the value. The linear half keeps a
lesion bright that is far from everything else; the rank half keeps soft tissue apart that lies within 30 of a CT's
4000 units. More than three channels become their first three principal components: the appearance models are
histograms over all channels together, and those do not grow further.
"""

from __future__ import annotations

from math import gcd
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorseg.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_CHANNELS = 3
#: Percentiles between which the linear half of the map runs.
ENDS = (0.1, 99.9)
#: Smoothing within the slice against noise, in pixels.
SMOOTHING = 0.8
#: Quantiles of the rank half, and voxels of a channel that are enough to know them.
RANKS = 129
SAMPLE = 200_000
#: Part of the channels' variance below which a principal component is rounding, and nothing that the image shows.
ROUNDING = 1e-6


def features(voxels: NDArray[Any]) -> NDArray[np.float16]:
    """Return what the classical method sees of an image.

    Args:
        voxels: ``(C, K, J, I)`` intensities of any scale.

    Returns:
        ``(min(C, 3), K, J, I)`` float16 in [0, 1]; a constant channel is 0.

    Raises:
        InputError: a voxel that is no number, or no voxel at all.
    """
    if not voxels.size:
        raise InputError(f"expected an image with some voxels, got {voxels.shape}")
    if voxels.dtype.kind == "f" and not np.isfinite(voxels).all():
        raise InputError(
            f"expected finite intensities, got {int((~np.isfinite(voxels)).sum())} voxels that are NaN or infinite: "
            "replace them before the image is annotated"
        )
    if len(voxels) > MAX_CHANNELS:
        voxels = _principal(voxels)
    out = np.empty(voxels.shape, np.float16)
    for source, target in zip(voxels, out, strict=True):
        _even(source, target)
    return out


def _even(channel: NDArray[Any], out: NDArray[np.float16]) -> None:
    from scipy import ndimage

    values, levels = _map(_sample(channel))
    for source, target in zip(channel, out, strict=True):  # slice by slice: a volume in float64 is a lot of memory
        mapped = np.interp(source, values, levels).astype(np.float32)
        target[...] = ndimage.gaussian_filter(mapped, SMOOTHING, mode="nearest")


def _map(sample: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the knots of the monotone map: values, and what they become."""
    low, high = np.percentile(sample, ENDS)
    shown = sample[sample > low]  # the padding around a body or a sector has one value and no rank
    if high <= low or not shown.size:
        low, high = float(sample.min()), float(sample.max())
        shown = sample[sample > low]
    if high <= low or not shown.size:
        return np.array([low, low + 1.0]), np.zeros(2)
    ranks = np.quantile(shown, np.linspace(0, 1, RANKS))
    values = np.unique(np.concatenate([[low, high], ranks]))
    rank = np.interp(values, *_strictly_rising(np.concatenate([[low], ranks])))
    linear = np.clip((values - low) / (high - low), 0, 1)
    return values, (rank + linear) / 2


def _strictly_rising(knots: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return every different knot and its rank in [0, 1], the highest where it occurs several times."""
    values, last = np.unique(knots[::-1], return_index=True)
    return values, 1 - last / (len(knots) - 1)


def _principal(voxels: NDArray[Any]) -> NDArray[np.float32]:
    """Return the three principal components of the scaled channels, ``(3, K, J, I)``."""
    sample = np.stack([_sample(channel) for channel in voxels])
    mean, deviation = sample.mean(1), sample.std(1)
    scale = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > 0)
    scaled = (sample - mean[:, None]) * scale[:, None]
    variances, vectors = np.linalg.eigh(scaled @ scaled.T / scaled.shape[1])
    axes = vectors[:, ::-1][:, :MAX_CHANNELS].T
    axes *= np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(1)])[:, None]  # an axis has no sign of its own
    axes[variances[::-1][:MAX_CHANNELS] <= ROUNDING * len(voxels)] = 0  # it would be stretched to noise over [0, 1]
    out = np.zeros((MAX_CHANNELS, *voxels.shape[1:]), np.float32)
    for channel, source in enumerate(voxels):
        even = (source.astype(np.float32) - np.float32(mean[channel])) * np.float32(scale[channel])
        for component in range(MAX_CHANNELS):
            out[component] += np.float32(axes[component, channel]) * even
    return out


def _sample(channel: NDArray[Any]) -> NDArray[np.float64]:
    """Return voxels from all over a channel: a step with a divisor in common with the rows sees few of the columns."""
    flat = channel.reshape(-1)
    step = max(1, flat.size // SAMPLE)
    while gcd(step, flat.size) > 1:
        step += 1
    return flat[::step].astype(np.float64)
