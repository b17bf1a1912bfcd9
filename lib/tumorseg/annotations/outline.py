"""Between outlines and pixels: polygons filled, masks traced, boxes around either.

A pixel belongs to an outline when its centre lies inside. :mod:`tumorseg.annotations.trace` is the way back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorseg.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def polygon_of(what: str, given: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Return ``(P, 2)`` x, y as a polygon; a first point that is repeated at the end is dropped.

    Raises:
        InputError: it encloses nothing: fewer than 3 points, all on one line, or numbers that are not finite.
    """
    points: NDArray[np.float64] = np.asarray(given, float)
    if not np.isfinite(points).all():
        raise InputError(f"{what} has coordinates that are not finite")
    if len(points) > 3 and (points[0] == points[-1]).all():
        points = points[:-1]
    if len(points) < 3:
        raise InputError(f"{what} has {len(points)} points; expected at least 3, remove or redraw it")
    if np.linalg.matrix_rank(points - points[0]) < 2:
        raise InputError(f"{what} has all {len(points)} points on one line and encloses nothing; remove or redraw it")
    return points


def fill_polygons(polygons: Sequence[NDArray[np.floating[Any]]], height: int, width: int) -> NDArray[np.bool_]:
    """Return ``(height, width)`` bool: the union of ``(P, 2)`` x, y polygons; what is outside is cut off."""
    from skimage.draw import polygon2mask

    filled = np.zeros((height, width), bool)
    for polygon in polygons:
        # skimage puts pixel centres on whole numbers and speaks of (row, column).
        filled |= polygon2mask((height, width), polygon[:, ::-1] - 0.5)
    return filled


def fill_box(box: NDArray[np.floating[Any]], height: int, width: int) -> NDArray[np.bool_]:
    """Return ``(height, width)`` bool: the pixels whose centre lies in ``x0, y0, x1, y1``."""
    columns, rows = np.arange(width) + 0.5, np.arange(height) + 0.5
    inside_x = (columns >= box[0]) & (columns < box[2])
    inside_y = (rows >= box[1]) & (rows < box[3])
    filled: NDArray[np.bool_] = inside_y[:, None] & inside_x[None, :]
    return filled


def bounds_of_polygons(polygons: Sequence[NDArray[np.floating[Any]]]) -> NDArray[np.float64]:
    """Return ``(4,)`` x0, y0, x1, y1 around all points."""
    points = np.concatenate(polygons)
    return np.concatenate([points.min(axis=0), points.max(axis=0)]).astype(float)


def bounds_of_mask(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return ``(4,)`` x0, y0, x1, y1 around all pixels of a mask, half-open; zeros for an empty one."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return np.zeros(4)
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], float)


def polygon_area(polygon: NDArray[np.floating[Any]]) -> float:
    """Return the area of a ``(P, 2)`` polygon in pixels (shoelace formula; crossing parts cancel)."""
    x, y = polygon[:, 0], polygon[:, 1]
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2
