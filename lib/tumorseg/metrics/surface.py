"""Distances between the surfaces of two masks, in millimetres."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING

import numpy as np

from tumorseg.metrics.pair import Pair

if TYPE_CHECKING:
    from numpy.typing import NDArray

PERCENTILE = 95.0


def hd95_mm(pair: Pair) -> float:
    """95th percentile Hausdorff distance in mm: the larger of both directions' percentiles.

    The surface of a mask is its voxels with a background neighbour across a face (voxels at the volume's border
    count); distances run between voxel centres. NaN where the spacing is not known or one of the masks is empty.
    """
    if pair.spacing is None or not pair.true or not pair.marked:
        return nan
    box = _box(pair.truth | pair.found)
    truth, found = _surface(pair.truth[box]), _surface(pair.found[box])
    there, back = _distances(truth, found, pair.spacing), _distances(found, truth, pair.spacing)
    return float(max(np.percentile(there, PERCENTILE), np.percentile(back, PERCENTILE)))


def _box(mask: NDArray[np.bool_]) -> tuple[slice, ...]:
    """Return the smallest box around a mask: distances beyond it are never asked for."""
    sides = []
    for axis in range(3):
        hit = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        sides.append(slice(int(hit[0]), int(hit[-1]) + 1))
    return tuple(sides)


def _surface(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    from scipy import ndimage

    return np.asarray(mask & ~ndimage.binary_erosion(mask))


def _distances(
    start: NDArray[np.bool_], goal: NDArray[np.bool_], spacing: tuple[float, float, float]
) -> NDArray[np.float64]:
    """Return the distance in mm from every surface voxel of ``start`` to the nearest of ``goal``."""
    from scipy import ndimage

    return np.asarray(ndimage.distance_transform_edt(~goal, sampling=spacing)[start])
