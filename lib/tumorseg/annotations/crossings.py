"""Whether an outline crosses itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Edges compared at once; bounds the memory for outlines of many thousand points.
_BLOCK = 256


def crosses_itself(polygon: NDArray[np.floating[Any]]) -> bool:
    """Whether two edges of a closed ``(P, 2)`` polygon properly cross.

    Edges that touch, or lie on one another as the cut to a hole does, do not cross. Two edges cross when the ends of
    each lie strictly on different sides of the other.
    """
    start, end = np.asarray(polygon, float), np.roll(polygon, -1, axis=0).astype(float)
    for first in range(0, len(start), _BLOCK):
        a, b = start[first : first + _BLOCK, None], end[first : first + _BLOCK, None]
        one = _side(a, b, start[None]) * _side(a, b, end[None]) < 0
        other = _side(start[None], end[None], a) * _side(start[None], end[None], b) < 0
        if (one & other).any():
            return True
    return False


def _side(a: NDArray[np.float64], b: NDArray[np.float64], point: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return -1, 0 or 1 for points right of, on or left of the line from ``a`` to ``b``, ``(..., 2)``."""
    along, towards = b - a, point - a
    return np.sign(along[..., 0] * towards[..., 1] - along[..., 1] * towards[..., 0])
