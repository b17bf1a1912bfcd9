"""Distances between the surfaces of two masks, in millimetres."""

from __future__ import annotations

from math import inf, nan
from typing import TYPE_CHECKING

import numpy as np

from tumorseg.errors import InputError
from tumorseg.metrics.pair import Pair

if TYPE_CHECKING:
    from numpy.typing import NDArray

PERCENTILE = 95.0
#: Two surfaces this close are taken for one: about what two people who draw the same tumour differ by.
TOLERANCE_MM = 2.0


def hd95_mm(pair: Pair) -> float:
    """95th percentile Hausdorff distance in mm: the larger of both directions' percentiles.

    The surface of a mask is its voxels with a background neighbour across a face (voxels at the volume's border
    count); distances run between voxel centres. NaN where the spacing is not known or one of the masks is empty.
    """
    if pair.spacing is None or not pair.true or not pair.marked:
        return nan
    there, back = _both_ways(pair, pair.spacing)
    return float(max(np.percentile(there, PERCENTILE), np.percentile(back, PERCENTILE)))


def surface_dice(pair: Pair, tolerance_mm: float = TOLERANCE_MM) -> float:
    """Part of both surfaces, in [0, 1], that lies within a tolerance (mm, included) of the other one.

    Nikolov et al., Clinically applicable segmentation of head and neck anatomy, JMIR 2021, with the surface of
    :func:`hd95_mm`, counted in voxels as Seidlitz et al., arXiv 2111.05408, do: every surface voxel weighs the same,
    whatever its faces measure. NaN where the spacing is not known; like Dice 1 where both masks are empty and 0 where
    one is.

    Raises:
        InputError: the tolerance is negative or not finite.
    """
    if not 0 <= tolerance_mm < inf:
        raise InputError(f"expected a tolerance in mm, 0 or more, got {tolerance_mm}")
    if pair.spacing is None:
        return nan
    if not pair.true or not pair.marked:
        return float(pair.true == pair.marked)
    distances = np.concatenate(_both_ways(pair, pair.spacing))
    return float(np.mean(distances <= tolerance_mm))


def _both_ways(pair: Pair, spacing: tuple[float, float, float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the distances in mm from the true to the found surface and back; neither mask may be empty."""
    box = _box(pair.truth | pair.found)
    truth, found = _surface(pair.truth[box]), _surface(pair.found[box])
    return _distances(truth, found, spacing), _distances(found, truth, spacing)


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
