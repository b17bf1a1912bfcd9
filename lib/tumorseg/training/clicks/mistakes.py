"""Masks with mistakes, from which a simulated person sets out.

The trunk's own masks of the training patients are better than those of anybody else, so they are not enough: borders
are moved, slices and lobes left out, blobs added, or everything is missing. And the trunk is right about those patients
far too often: a head that sees its features learns to repeat them. So the truth itself is changed where the picture
allows it (:func:`contested`), and only the clicks can tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]

#: Of which kind a start is, and how often.
KINDS = ("trunk", "moved", "slices", "nothing")
SHARES = (0.4, 0.3, 0.15, 0.15)
#: The trunk's probability is cut off somewhere in here.
THRESHOLDS = (0.2, 0.8)
#: Pixels by which a border is moved at most, and over how many pixels and slices a lobe of that extends.
MOVED, LOBES, LOBE_SLICES = 8.0, (5.0, 18.0), 1.2
BLOB_CHANCE, BLOB_RADII, BLOB_SLICES = 0.3, (4.0, 18.0), 1.8
#: Part of the pieces whose truth is drawn somewhat wider or tighter: the clicks say where, not the picture alone.
STYLE_CHANCE, STYLE = 0.15, 3.0
#: A contested region: how far its seed lies from the border, its half axes in pixels and in slices, how much its voxels
#: may differ from the seed in any sequence (normalised), and the least voxels that are worth it.
SEED_REACH, REGION_RADII, REGION_SLICES, ALIKE, REGION_LEAST = 12.0, (5.0, 22.0), (0.7, 2.5), (0.4, 1.5), 30
_SMOOTH = 1.0


def signed_distance(mask: Mask) -> NDArray[np.float32]:
    """In-plane distance to the border of ``(D, S, S)``, pixels, positive inside; far outside where there is none."""
    out = np.full(mask.shape, -float(mask.shape[-1]), np.float32)
    for k in np.flatnonzero(mask.any(axis=(1, 2))):
        inside, outside = ndimage.distance_transform_edt(mask[k]), ndimage.distance_transform_edt(~mask[k])
        out[k] = np.where(mask[k], inside - 0.5, 0.5 - outside)
    return out


def styled(truth: Mask, rng: np.random.Generator) -> Mask:
    """Return the truth, now and then as a more generous or a meaner reader would draw it."""
    if rng.random() >= STYLE_CHANCE:
        return truth
    other: Mask = signed_distance(truth) > rng.uniform(-STYLE, STYLE)
    return other if other.any() else truth


def contested(truth: Mask, image: NDArray[np.float32], rng: np.random.Generator) -> Mask:
    """Return the truth with a region more or less that looks alike, as another reader might have drawn it.

    Args:
        truth: ``(D, S, S)``.
        image: ``(D, C, S, S)`` normalised.
        rng: the source of randomness.
    """
    distance = signed_distance(truth)
    inside = bool(rng.random() < 0.5)
    seeds = np.argwhere((np.abs(distance) <= SEED_REACH) & (truth == inside))
    if not len(seeds):
        return truth
    at = tuple(seeds[rng.integers(len(seeds))])
    smooth = ndimage.gaussian_filter(image, (0, 0, _SMOOTH, _SMOOTH))
    seen = np.moveaxis(smooth, 1, 0)
    alike = np.abs(seen - seen[(slice(None), *at)][:, None, None, None]).max(axis=0) < rng.uniform(*ALIKE)
    radii = (rng.uniform(*REGION_SLICES), rng.uniform(*REGION_RADII), rng.uniform(*REGION_RADII))
    region = _ellipsoid(truth.shape, at, radii) & alike & (truth == inside)
    region[at] = True
    region = ndimage.binary_closing(region, np.ones((1, 3, 3), bool)) & (truth == inside)
    region[at] = True
    parts, _ = ndimage.label(region, np.ones((3, 3, 3), bool))
    region = parts == parts[at]
    other: Mask = truth ^ region
    return other if region.sum() >= REGION_LEAST and other.any() else truth


def start(truth: Mask, probability: NDArray[np.float32], rng: np.random.Generator) -> Mask:
    """Draw a mask to set out from.

    Args:
        truth: ``(D, S, S)``.
        probability: ``(D, S, S)``, what the trunk says.
        rng: the source of randomness.
    """
    kind = rng.choice(KINDS, p=SHARES)
    if kind == "nothing" or not truth.any():
        mask = np.zeros_like(truth)
    elif kind == "trunk":
        mask = probability >= rng.uniform(*THRESHOLDS)
    else:
        mask = _moved(truth, rng)
        if kind == "slices":
            mask = _without_slices(mask, rng)
    if rng.random() < BLOB_CHANCE or (not truth.any() and not mask.any()):
        mask = mask | _blob(truth.shape, rng)
    return mask


def _moved(truth: Mask, rng: np.random.Generator) -> Mask:
    """Move the border to and fro by a smooth random field."""
    noise = rng.standard_normal(truth.shape).astype(np.float32)
    sigma = rng.uniform(*LOBES)
    smooth = ndimage.gaussian_filter(noise, (LOBE_SLICES, sigma, sigma), mode="wrap", truncate=2.0)
    smooth *= rng.uniform(1.0, MOVED) / max(float(smooth.std()) * 2, 1e-6)
    mask: Mask = signed_distance(truth) + smooth + rng.normal(0, 1.0) > 0
    return mask


def _without_slices(mask: Mask, rng: np.random.Generator) -> Mask:
    """Leave out everything above or below a slice."""
    cut = int(rng.integers(1, max(2, len(mask))))
    out = mask.copy()
    out[:cut] = False
    return out if rng.random() < 0.5 else mask & ~out


def _blob(shape: tuple[int, ...], rng: np.random.Generator) -> Mask:
    """Draw an ellipsoid somewhere."""
    centre = [rng.uniform(0, n) for n in shape]
    radii = [rng.uniform(0.7, BLOB_SLICES), rng.uniform(*BLOB_RADII), rng.uniform(*BLOB_RADII)]
    return _ellipsoid(shape, centre, radii)


def _ellipsoid(shape: tuple[int, ...], centre: Sequence[float], radii: Sequence[float]) -> Mask:
    axes = np.ogrid[tuple(slice(0, n) for n in shape)]
    squares = [((a - c) / r) ** 2 for a, c, r in zip(axes, centre, radii, strict=True)]
    inside: Mask = squares[0] + squares[1] + squares[2] <= 1
    return inside
