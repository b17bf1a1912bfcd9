"""From an object's shape in one slice to its shape in the next one: the expected shape, corrected by what is seen.

The sum of three opinions in every pixel, as log odds: how deep it lies in the shape that is expected, how much it looks
like the object (:mod:`tumorseg.interactive.likeness`), and, where there is one, what a model says. With these as prior
a random walk finds the outline along edges of the image (:mod:`tumorseg.interactive.classical.walker`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorseg.interactive.classical.appearance import probability
from tumorseg.interactive.classical.walker import Lattice, walk
from tumorseg.interactive.classical.window import STEPS, STRENGTH
from tumorseg.interactive.likeness import RING, Likeness, ring_of
from tumorseg.interactive.shapes import hanging

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]
    Picture = NDArray[np.floating[Any]]

# Chosen on training patients: see docs/interactive.md.
#: Pixels of depth in the expected shape that are worth one unit of log odds, and the most units they are worth.
SOFTNESS, MOST_BY_SHAPE = 6.0, 3.0
#: How much the look of a pixel counts.
BY_LOOK = 3.0
#: Pixels that an object may grow by from one slice to the next.
REACH = 8
#: How far from certain a pixel stays by what is said of it alone.
DOUBT = 0.02


@dataclass(frozen=True, eq=False)
class Carried:
    """An object in the next slice.

    Attributes:
        mask: ``(J, I)`` bool.
        contrast: mean likeness within minus that of the surroundings, at most 1; 0 where they look the same.
    """

    mask: Mask
    contrast: float


def carry(
    picture: Picture, expected: NDArray[np.float64], alike: Likeness, vote: NDArray[np.floating[Any]] | float = 0.0
) -> Carried:
    """Find an object in a slice.

    Args:
        picture: ``(C, J, I)`` of the slice.
        expected: ``(J, I)`` signed distance of the shape that is expected, pixels, positive inside.
        alike: how much a pixel looks like the object.
        vote: ``(J, I)`` log odds of a model's opinion.
    """
    from scipy import ndimage

    mask = np.zeros(expected.shape, bool)
    around = expected > -(REACH + RING)  # what may become the object, and the surroundings it is compared with
    if not around.any():
        return Carried(mask, 0.0)
    (box,) = ndimage.find_objects(around.astype(np.int8))
    shown = picture[(slice(None), *box)].astype(np.float32)
    seen = alike(shown)
    odds = BY_LOOK * seen + np.broadcast_to(vote, expected.shape)[box]
    odds += np.clip(expected[box] / SOFTNESS, -MOST_BY_SHAPE, MOST_BY_SHAPE)
    mask[box] = _outlined(shown, odds, expected[box] > -REACH)
    mask = _filled(hanging(mask, expected > 0), expected > 0)
    return Carried(mask, _contrast(1 / (1 + np.exp(-seen)), mask[box], ring_of(mask)[box]))


def _outlined(shown: NDArray[np.float32], odds: NDArray[np.floating[Any]], near: Mask) -> Mask:
    """Return the object ``(j, i)`` in a window; only what is ``near`` may be of it."""
    prior = probability(odds.astype(np.float32), DOUBT)[None]
    marks = np.where(near, 0, -1).astype(np.int8)[None]
    chance = walk(Lattice.of(shown[:, None], (1.0, 1.0, 1.0)), prior, STRENGTH, marks, steps=STEPS)
    return np.asarray(chance[0] > 0.5)


def _filled(found: Mask, expected: Mask) -> Mask:
    """Fill what the object encloses in a slice, but for holes that the expected shape has too: those are meant."""
    from scipy import ndimage

    holes = ndimage.binary_fill_holes(found) & ~found
    meant = ndimage.binary_fill_holes(expected) & ~expected
    filled: Mask = found | (holes & ~hanging(holes, meant))
    return filled


def _contrast(seen: NDArray[np.floating[Any]], mask: Mask, ring: Mask) -> float:
    if not mask.any():
        return 0.0
    return float(seen[mask].mean() - (seen[ring].mean() if ring.any() else 0.0))
