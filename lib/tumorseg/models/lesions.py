"""What a reader wants to know of each detected object: how sure, where, and how large."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorseg.geometry import Grid, OrientedBox, oriented_box

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tumorseg.types import Detections, Instance

#: More points of a border than this are thinned to their convex hull before distances are taken.
_FEW_POINTS = 64


@dataclass(frozen=True, eq=False)
class Lesion:
    """One object, measured on its mask.

    Attributes:
        label: class name.
        value: the class in the label map.
        score: confidence in [0, 1].
        voxel_box: ``(6,)`` corners ``(i0, j0, k0, i1, j1, k1)``, voxel index, half-open.
        box: the same box in the patient, LPS mm (pixels, where there is no spacing).
        slices: indices k of the slices in which the mask has voxels, ascending.
        voxels: number of voxels in the mask.
        volume_ml: their volume; None where the spacing is not known, or the image is a picture without thickness.
        longest_diameter_mm: largest distance between two points of the mask's border in space: the "maximum 3D
            diameter" of IBSI (Zwanenburg et al., Radiology 295, 2020), whose points lie halfway between a voxel of the
            mask and its neighbour outside. Of a picture without thickness it is the next one. None where the spacing is
            not known.
        slice_diameter_mm: the same within one slice, the largest over the slices: the longest diameter of RECIST 1.1
            (Eisenhauer et al., Eur J Cancer 45, 2009) in the plane of the image's slices. None as above.
    """

    label: str
    value: int
    score: float
    voxel_box: tuple[float, ...]
    box: OrientedBox
    slices: tuple[int, ...]
    voxels: int
    volume_ml: float | None
    longest_diameter_mm: float | None
    slice_diameter_mm: float | None


def measure(detections: Detections, *, spacing_known: bool = True, placed: bool = True) -> tuple[Lesion, ...]:
    """Measure every instance, the most certain first; millimetres and millilitres only where they mean something."""
    return tuple(
        _measured(instance, detections.grid, detections.labels[instance.label], spacing_known, placed)
        for instance in detections.instances
    )


def _measured(instance: Instance, grid: Grid, value: int, spacing_known: bool, placed: bool) -> Lesion:
    voxels = int(np.count_nonzero(instance.mask))
    # The slice of a picture is 1 mm thick only because a grid must be: its depth is no part of a distance.
    longest = longest_diameter if placed else slice_diameter
    slices = np.flatnonzero(instance.mask.any(axis=(1, 2))) + instance.origin[0]
    return Lesion(
        label=instance.label,
        value=value,
        score=float(instance.score),
        voxel_box=tuple(float(edge) for edge in instance.box),
        box=oriented_box(grid, instance.box),
        slices=tuple(int(k) for k in slices),
        voxels=voxels,
        volume_ml=voxels * grid.voxel_volume / 1000 if spacing_known and placed else None,
        longest_diameter_mm=longest(instance.mask, grid) if spacing_known else None,
        slice_diameter_mm=slice_diameter(instance.mask, grid) if spacing_known else None,
    )


def longest_diameter(mask: NDArray[np.bool_], grid: Grid) -> float:
    """Largest distance between two border points of a mask ``(k, j, i)``, mm; 0 for an empty one."""
    return _widest(_border(mask, axes=(0, 1, 2)), grid)


def slice_diameter(mask: NDArray[np.bool_], grid: Grid) -> float:
    """Largest distance between two border points of one slice k of a mask ``(k, j, i)``, mm; 0 for an empty one."""
    return max((_widest(_border(mask[k : k + 1], axes=(1, 2)), grid) for k in range(len(mask))), default=0.0)


def _border(mask: NDArray[np.bool_], axes: tuple[int, ...]) -> NDArray[np.float64]:
    """Midpoints between the mask's voxels and their neighbours outside along ``axes``, ``(N, 3)`` index (k, j, i)."""
    padded = np.pad(mask, 1)
    points = []
    for axis in axes:
        # +1 where the mask begins, -1 where it ends behind; the face lies half a step before the later voxel.
        step = np.diff(padded.astype(np.int8), axis=axis)
        face = np.argwhere(step).astype(np.float64) - 1
        face[:, axis] += 0.5
        points.append(face)
    return np.concatenate(points)


def _widest(points: NDArray[np.float64], grid: Grid) -> float:
    """Largest distance between two of ``(N, 3)`` indices (k, j, i), mm."""
    from scipy.spatial.distance import pdist

    if not len(points):
        return 0.0
    # An affine map leaves a convex hull a convex hull, so it may be taken before.
    corners = _hull(points) if len(points) > _FEW_POINTS else points
    return float(pdist(corners[:, ::-1] @ grid.affine[:3, :3].T).max())


def _hull(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The corners of the convex hull; within the plane where all points lie in one slice."""
    from scipy.spatial import ConvexHull

    varying = np.ptp(points, axis=0) > 0
    hull: Any = ConvexHull(points[:, varying])
    return np.asarray(points[hull.vertices])
