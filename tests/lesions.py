"""Two lesions in patient space, seen by any grid, and where their boxes must lie; BlobDetector finds each as one."""

from __future__ import annotations

import itertools

import numpy as np

from tests.dicom.phantoms import CENTRE, CYST, HEAD, TUMOUR, grid_points
from tumorseg.geometry import Grid

VALUES = {"cyst": CYST, "tumor": TUMOUR}
#: label -> (middle from the head's centre, radii along LPS), mm: no symmetry.
ELLIPSOIDS_MM = {"cyst": ((-21.0, 14.0, -9.0), (11.0, 15.0, 13.0)), "tumor": ((19.0, -17.0, 16.0), (16.0, 12.0, 19.0))}
#: Corners closer than this are the same, mm: NIfTI holds its affine in single precision.
SAME_PLACE_MM = 1e-3


def lesion_image(grid: Grid) -> np.ndarray:
    """What a scanner with this grid sees, ``(K, J, I)`` int16; each slice of a lesion is one connected blob."""
    points = grid_points(grid) - CENTRE
    seen = np.full(len(points), HEAD, np.int16)
    for label, (middle, radii) in ELLIPSOIDS_MM.items():
        seen[(((points - middle) / radii) ** 2).sum(axis=1) <= 1] = VALUES[label]
    return seen.reshape(grid.shape)


def edges(mask: np.ndarray, grid: Grid) -> np.ndarray:
    """The eight corners of the voxels around a mask, LPS mm, ``(8, 3)``, from the affine alone."""
    k, j, i = (np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3))
    ends = itertools.product(*((axis[0] - 0.5, axis[-1] + 0.5) for axis in (i, j, k)))
    return np.array([(grid.affine @ [*end, 1])[:3] for end in ends])


def same_corners(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two boxes have the same corners, in any order."""
    distance = np.linalg.norm(one[:, None] - other[None], axis=2)
    return bool(max(distance.min(axis=0).max(), distance.min(axis=1).max()) < SAME_PLACE_MM)
