"""The person who clicks in training: less orderly than the robot that measures (:mod:`tumorseg.interactive.robot`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from tumorseg.interactive.prompts import Click

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]

#: Errors of fewer voxels nobody bothers to click.
LEAST = 6
#: How often the largest error is clicked, its largest slice, and the very middle of that.
LARGEST, BEST_SLICE, MIDDLE = 0.7, 0.65, 0.6


def click(mask: Mask, truth: Mask, rng: np.random.Generator) -> Click | None:
    """Click into an error of ``mask`` ``(D, S, S)``; None where there is none worth it."""
    wrong = mask != truth
    parts, count = ndimage.label(wrong, np.ones((3, 3, 3), bool))
    sizes = np.bincount(parts.ravel())[1:]
    worth = np.flatnonzero(sizes >= LEAST)
    if not count or not len(worth):
        return None
    largest = int(worth[np.argmax(sizes[worth])])
    chosen = largest if rng.random() < LARGEST else int(rng.choice(worth, p=sizes[worth] / sizes[worth].sum()))
    part = parts == chosen + 1
    areas = part.sum(axis=(1, 2))
    k = int(areas.argmax()) if rng.random() < BEST_SLICE else int(rng.choice(len(areas), p=areas / areas.sum()))
    depth = ndimage.distance_transform_edt(np.pad(part[k], 1))[1:-1, 1:-1]
    inner = np.argwhere(depth >= (depth.max() if rng.random() < MIDDLE else 0.3 * depth.max()))
    j, i = inner[rng.integers(len(inner))]
    return Click((int(i), int(j), k), bool(truth[k, j, i]))
