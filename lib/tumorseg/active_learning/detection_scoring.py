"""How uncertain a detector is of an image, from what it found there, also when the image was changed a little.

Both take findings down to a score well below the threshold: what is just missed is as uncertain as what is just
found. Both are of one finding or a mean, never a sum, so that an image with many lesions does not win by their number,
and they look at scores and at overlap relative to the box, so that a large lesion does not win by its size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorseg.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def detection_margin(scores: Sequence[float] | NDArray[np.floating[Any]], threshold: float) -> float:
    """Return how near the nearest finding is to the threshold: 1 on it, 0 at a score of 0 or 1 or with no finding.

    Args:
        scores: ``(N,)`` confidence of every finding of the image, in [0, 1].
        threshold: from which on a finding is shown, in (0, 1).
    """
    if not 0 < threshold < 1:
        raise InputError(f"expected a threshold in (0, 1), got {threshold}")
    values = np.asarray(scores, np.float64)
    if not values.size:
        return 0.0
    reach = np.where(values < threshold, threshold, 1 - threshold)
    return float((1 - np.abs(values - threshold) / reach).max())


def localisation_instability(
    boxes: NDArray[np.floating[Any]], scores: NDArray[np.floating[Any]], others: Sequence[NDArray[np.floating[Any]]]
) -> float:
    """Return 1 minus the localisation stability (Kao et al., ACCV 2018, eq. 1 and 2), in [0, 1].

    Args:
        boxes: ``(N, 6)`` corners ``(i0, j0, k0, i1, j1, k1)``, half-open, of what was found in the image itself.
        scores: ``(N,)`` their confidence, which weighs them.
        others: for each changed image, mapped back, its ``(M, 6)`` boxes.

    Returns:
        0 where every box was found again in place, or nothing was found to begin with; 1 where none was.
    """
    if len(boxes) != len(scores):
        raise InputError(f"expected as many scores as boxes, got {len(scores)} and {len(boxes)}")
    weight = float(np.sum(scores))
    if not len(boxes) or not others or weight <= 0:
        return 0.0
    again = np.mean([_overlaps(boxes, found).max(axis=1, initial=0.0) for found in others], axis=0)
    return float(1 - (np.asarray(scores, np.float64) * again).sum() / weight)


def _overlaps(a: NDArray[np.floating[Any]], b: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """``(N, M)`` intersection over union of boxes."""
    a, b = np.asarray(a, np.float64).reshape(-1, 1, 6), np.asarray(b, np.float64).reshape(1, -1, 6)
    sides = np.clip(np.minimum(a[..., 3:], b[..., 3:]) - np.maximum(a[..., :3], b[..., :3]), 0, None)
    both = sides.prod(axis=-1)
    volumes = [(box[..., 3:] - box[..., :3]).prod(axis=-1) for box in (a, b)]
    return np.asarray(both / (volumes[0] + volumes[1] - both))
