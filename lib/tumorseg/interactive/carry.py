"""From an object's shape in one slice to its shape in the next one: the expected shape, corrected by what is seen.

The sum of three opinions in every pixel, as log odds: how deep it lies in the shape that is expected, how much it looks
like the object (:mod:`tumorseg.interactive.likeness`), and, where there is one, what a model says. Of all masks the one
is taken that agrees best with them and has short borders along edges of the image: the minimum cut of Boykov and Jolly,
"Interactive graph cuts for optimal boundary & region segmentation of objects in N-D images", ICCV 2001.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorseg.interactive.likeness import Likeness, ring_of
from tumorseg.interactive.shapes import hanging

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]
    Picture = NDArray[np.floating[Any]]

# Chosen on training patients: see docs/interactive.md.
#: Pixels of depth in the expected shape that are worth one unit of log odds, and the most units they are worth.
SOFTNESS, MOST_BY_SHAPE = 4.0, 3.0
#: How much the look of a pixel counts.
BY_LOOK = 1.5
#: Pixels that an object may grow by from one slice to the next.
REACH = 8
#: Weight of the border's length, and the difference of intensity that makes an edge.
SMOOTHNESS, EDGE = 1.0, 0.1
#: Log odds that decide whatever else is said.
_CERTAIN = 15.0


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

    near = expected > -REACH
    if not near.any():
        return Carried(np.zeros(expected.shape, bool), 0.0)
    (box,) = ndimage.find_objects(_grown(near).astype(np.int8))
    mask, seen = np.zeros(expected.shape, bool), np.zeros(expected.shape)
    around = np.zeros(expected.shape, bool)
    around[box] = True
    seen[around] = alike(picture[:, around])
    odds = BY_LOOK * np.log(seen[box] / (1 - seen[box])) + np.broadcast_to(vote, expected.shape)[box]
    odds += np.clip(expected[box] / SOFTNESS, -MOST_BY_SHAPE, MOST_BY_SHAPE)
    odds[~near[box]] = -_CERTAIN
    mask[box] = _cut(picture[(slice(None), *box)], np.clip(odds, -_CERTAIN, _CERTAIN))
    mask = ndimage.binary_fill_holes(hanging(mask, expected > 0))
    return Carried(mask, _contrast(seen, mask, around))


def _grown(near: Mask) -> Mask:
    """One pixel more on every side, so that the border of what may be marked is never that of the picture."""
    from scipy import ndimage

    grown: Mask = ndimage.binary_dilation(near)
    return grown


def _cut(picture: Picture, odds: NDArray[np.float64]) -> Mask:
    from numpymaxflow import maxflow

    inside = 1 / (1 + np.exp(-odds))
    cut: NDArray[np.float32] = maxflow(picture.astype(np.float64), np.stack([1 - inside, inside]), SMOOTHNESS, EDGE)
    return np.asarray(cut[0] > 0)


def _contrast(seen: NDArray[np.float64], mask: Mask, around: Mask) -> float:
    if not mask.any():
        return 0.0
    ring = ring_of(mask) & around
    return float(seen[mask].mean() - (seen[ring].mean() if ring.any() else 0.0))
