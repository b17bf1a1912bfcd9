"""Shapes in one slice as signed distances, and what lies between two of them.

Raya and Udupa, "Shape-based interpolation of multidimensional objects", IEEE Transactions on Medical Imaging 9(1),
1990: between two slices the signed distances to an object's border are interpolated, and the object is where they are
positive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]
    Distance = NDArray[np.float64]

_HALF = 0.5


def signed_distance(shape: Mask) -> Distance:
    """Return how deep each pixel ``(J, I)`` lies in a shape: pixels to its border, negative outside of it.

    The border lies between the pixels: the outermost ones of the shape have 0.5. Of an empty shape everything is
    infinitely far outside.
    """
    from scipy import ndimage

    if not shape.any():
        return np.full(shape.shape, -np.inf)
    if shape.all():
        return np.full(shape.shape, np.inf)
    inside: Distance = ndimage.distance_transform_edt(shape)
    outside: Distance = ndimage.distance_transform_edt(~shape)
    return np.where(shape, inside - _HALF, _HALF - outside)


def between(one: Distance, other: Distance, part: float) -> Distance:
    """Return the signed distances of the shape that lies ``part`` (0..1) of the way from one to the other."""
    return (1 - part) * one + part * other


def hanging(marked: Mask, on: Mask) -> Mask:
    """Return the connected parts (8 neighbours) of ``marked`` ``(J, I)`` that share a pixel with ``on``."""
    from scipy import ndimage

    parts, _ = ndimage.label(marked, np.ones((3, 3), bool))
    touched = np.unique(parts[on])
    same: Mask = np.isin(parts, touched[touched > 0])
    return same
