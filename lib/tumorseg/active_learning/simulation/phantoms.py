"""Made-up patients for where there is no labelled data: a head, lesions of several sizes, and what looks like one.

They test the loop, not a strategy: results on them say nothing about patients. Lesions differ in size, contrast and
sharpness and lie beside bright dots (vessels) and a bright rim that are no lesions; a third of the slices shows some.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from tumorseg.training.data import Volume

SIDE, SLICES, CHANNELS = 64, 12, 3
#: Radii in pixels, from the smallest lesion to the largest.
SMALLEST, LARGEST = 2.5, 12.0


def phantoms(count: int, seed: int = 0) -> list[Volume]:
    """Return ``count`` patients of :data:`SLICES` slices; the same for the same seed."""
    rng = np.random.default_rng(seed)
    return [_patient(f"phantom-{number:03d}", rng) for number in range(count)]


def _patient(name: str, rng: np.random.Generator) -> Volume:
    where = np.mgrid[:SLICES, :SIDE, :SIDE].astype(np.float64)
    _, j, i = where
    middle = (SIDE - 1) / 2
    radius = np.hypot((j - middle) / rng.uniform(0.42, 0.48), (i - middle) / rng.uniform(0.36, 0.42)) / SIDE
    head, rim = radius < 1, (radius >= 0.92) & (radius < 1)
    mask = _ball(where, _place(rng), np.exp(rng.uniform(np.log(SMALLEST), np.log(LARGEST)))) & head & ~rim
    bright = sum(_ball(where, _place(rng), rng.uniform(1.0, 2.0)) for _ in range(4)) > 0
    channels = []
    for weight in rng.uniform(0.2, 0.6), rng.uniform(0.6, 1.4), rng.uniform(0.2, 0.8):
        tissue = gaussian_filter(rng.normal(size=mask.shape), (0.7, 3, 3)) * 4
        lesion = weight * gaussian_filter(mask.astype(np.float64), (0.3, *[rng.uniform(0.5, 2.0)] * 2))
        channels.append((head * (1 + 0.4 * tissue + rim + 0.8 * bright + 1.5 * lesion) - 1) * 1.2)
    noise = rng.normal(scale=0.15, size=(CHANNELS, *mask.shape))
    image = np.ascontiguousarray((np.stack(channels) + noise).transpose(1, 0, 2, 3)).astype(np.float16)
    return Volume(name, image, mask.astype(np.uint8))


def _place(rng: np.random.Generator) -> NDArray[np.float64]:
    angle, distance = rng.uniform(0, 2 * np.pi), rng.uniform(4, 16)
    middle = (SIDE - 1) / 2
    return np.array([rng.uniform(3, SLICES - 3), middle + distance * np.sin(angle), middle + distance * np.cos(angle)])


def _ball(where: NDArray[np.float64], place: NDArray[np.float64], radius: float) -> NDArray[np.bool_]:
    """An ellipsoid around ``place`` on ``(3, K, J, I)`` coordinates; a slice is as thick as four pixels."""
    k, j, i = where - place[:, None, None, None]
    return np.asarray((4 * k) ** 2 + j**2 + i**2 <= radius**2)
