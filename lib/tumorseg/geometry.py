"""Grids, affines and the changes between frames. RAS/LPS and voxel/mm conversions live here only.

A voxel index is ``(i, j, k)`` = column, row, slice; arrays are ``(K, J, I)``. Positions are
millimetres at voxel *centres* in the DICOM patient frame LPS (x to the left, y to the back, z to
the head). NIfTI speaks RAS: :func:`flip_ras_lps` changes one into the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorseg.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Positions closer than this are the same place: DICOM writes them as decimal strings of 16 characters.
POSITION_TOLERANCE_MM = 0.01
# Direction cosines closer than this are parallel (about 0.06 degrees).
DIRECTION_TOLERANCE = 1e-3

_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def flip_ras_lps(affine: NDArray[Any]) -> NDArray[np.float64]:
    """Turn a ``(4, 4)`` voxel-to-RAS affine into voxel-to-LPS, or back (the change is its own inverse)."""
    return np.asarray(_RAS_TO_LPS @ affine, dtype=np.float64)


def affine_from_parts(
    origin: Sequence[float], direction: NDArray[Any], spacing: Sequence[float]
) -> NDArray[np.float64]:
    """Build a ``(4, 4)`` affine.

    Args:
        origin: position of voxel (0, 0, 0), mm.
        direction: ``(3, 3)``; *columns* are the unit vectors of i, j, k.
        spacing: mm along i, j, k.
    """
    affine = np.eye(4)
    affine[:3, :3] = np.asarray(direction, dtype=np.float64) * np.asarray(spacing, dtype=np.float64)
    affine[:3, 3] = origin
    return affine


@dataclass(frozen=True, eq=False)
class Grid:
    """Where voxels lie: ``shape`` (K, J, I) and ``affine`` (4, 4) from (i, j, k, 1) to LPS mm."""

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]

    def __post_init__(self) -> None:
        affine = np.array(self.affine, dtype=np.float64)
        if affine.shape != (4, 4) or not np.isfinite(affine).all():
            raise InputError(f"expected a finite 4x4 affine, got shape {affine.shape}")
        if abs(np.linalg.det(affine[:3, :3])) < 1e-12:
            raise InputError("the affine has no volume: two axes are parallel or a spacing is zero")
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise InputError(f"expected a shape of three positive sizes (K, J, I), got {self.shape}")
        affine.setflags(write=False)
        object.__setattr__(self, "affine", affine)
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Millimetres along i, j, k."""
        i, j, k = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(i), float(j), float(k)

    @property
    def direction(self) -> NDArray[np.float64]:
        """``(3, 3)``; columns are the unit vectors of i, j, k in LPS."""
        return np.asarray(self.affine[:3, :3] / np.asarray(self.spacing))

    @property
    def origin(self) -> NDArray[np.float64]:
        """LPS mm of the centre of voxel (0, 0, 0)."""
        return np.asarray(self.affine[:3, 3])

    @property
    def voxel_volume(self) -> float:
        """Cubic millimetres of one voxel."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))

    def points(self, ijk: NDArray[Any]) -> NDArray[np.float64]:
        """Map ``(N, 3)`` voxel indices (i, j, k) to ``(N, 3)`` LPS mm."""
        return np.asarray(np.asarray(ijk, dtype=np.float64) @ self.affine[:3, :3].T + self.affine[:3, 3])

    def indices(self, points: NDArray[Any]) -> NDArray[np.float64]:
        """Map ``(N, 3)`` LPS mm to ``(N, 3)`` fractional voxel indices (i, j, k)."""
        offset = np.asarray(points, dtype=np.float64) - self.affine[:3, 3]
        return np.asarray(np.linalg.solve(self.affine[:3, :3], offset.T).T)

    def part(self, origin: Sequence[int], shape: Sequence[int]) -> Grid:
        """Return the grid of a box of voxels from ``origin`` (k, j, i) on; it may reach over the edge."""
        affine = self.affine.copy()
        affine[:3, 3] = self.points(np.array([origin[::-1]]))[0]
        return Grid((shape[0], shape[1], shape[2]), affine)

    def corners(self) -> NDArray[np.float64]:
        """LPS mm of the eight corner voxels' centres, ``(8, 3)``."""
        k, j, i = (n - 1 for n in self.shape)
        return self.points(np.array([(a, b, c) for a in (0, i) for b in (0, j) for c in (0, k)]))

    def same_as(self, other: Grid, tolerance_mm: float = POSITION_TOLERANCE_MM) -> bool:
        """Whether both grids have the same shape and every corner at the same place."""
        return self.shape == other.shape and bool(np.abs(self.corners() - other.corners()).max() <= tolerance_mm)


@dataclass(frozen=True, eq=False)
class OrientedBox:
    """A rectangular box in the patient.

    Attributes:
        centre: ``(3,)`` LPS mm.
        size: ``(3,)`` mm, edge to edge, along the axes.
        axes: ``(3, 3)``; *columns* are the unit vectors of the edges in LPS, at right angles and right-handed.
    """

    centre: NDArray[np.float64]
    size: NDArray[np.float64]
    axes: NDArray[np.float64]

    def corners(self) -> NDArray[np.float64]:
        """LPS mm of the eight corners, ``(8, 3)``."""
        return np.asarray(self.centre + (_EIGHT_CORNERS - 0.5) * self.size @ self.axes.T)


def oriented_box(grid: Grid, box: NDArray[Any]) -> OrientedBox:
    """Put a voxel box into the patient, edge for edge: its eight corners are those of the outermost voxels.

    On a sheared grid (gantry tilt), where a box of voxels is not rectangular, it is the smallest rectangular box around
    it that keeps the direction of i and the plane of i and j.

    Args:
        grid: where the voxels lie.
        box: ``(6,)`` half-open corners ``(i0, j0, k0, i1, j1, k1)``, as of :class:`tumorseg.types.Instance`.
    """
    low, high = np.asarray(box, dtype=np.float64).reshape(2, 3)
    # A voxel covers [v, v + 1), and the affine speaks of its centre.
    corners = grid.points(low + _EIGHT_CORNERS * (high - low) - 0.5)
    axes, triangle = np.linalg.qr(grid.direction)
    axes = axes * np.sign(np.diag(triangle))
    if np.linalg.det(axes) < 0:  # a box is the same from either end, and viewers take right-handed axes only
        axes = axes * np.array([1.0, 1.0, -1.0])
    along = corners @ axes
    first, last = along.min(axis=0), along.max(axis=0)
    return OrientedBox(axes @ ((first + last) / 2), last - first, axes)


_EIGHT_CORNERS = np.array([(i, j, k) for i in (0.0, 1.0) for j in (0.0, 1.0) for k in (0.0, 1.0)])


@dataclass(frozen=True)
class Reorientation:
    """An exact change of axis order and signs, and its exact inverse. No voxel is interpolated.

    Attributes:
        order: for each output axis (k, j, i), the input array axis (0=k, 1=j, 2=i) that it shows.
        flips: for each output axis, whether it runs backwards.
    """

    order: tuple[int, int, int]
    flips: tuple[bool, bool, bool]

    def apply(self, voxels: NDArray[Any]) -> NDArray[Any]:
        """Reorient the last three axes of ``(..., K, J, I)``."""
        lead = voxels.ndim - 3
        axes = (*range(lead), *(lead + axis for axis in self.order))
        return np.ascontiguousarray(self._flip(voxels.transpose(axes)))

    def invert(self, voxels: NDArray[Any]) -> NDArray[Any]:
        """Undo :meth:`apply`."""
        lead = voxels.ndim - 3
        inverse = np.argsort(self.order)
        axes = (*range(lead), *(lead + int(axis) for axis in inverse))
        return np.ascontiguousarray(self._flip(voxels).transpose(axes))

    def _flip(self, voxels: NDArray[Any]) -> NDArray[Any]:
        k, j, i = (slice(None, None, -1 if flip else 1) for flip in self.flips)
        return voxels[..., k, j, i]

    def region(self, box: Sequence[slice], shape: Sequence[int]) -> tuple[slice, slice, slice]:
        """Return where a box of the reoriented voxels lies in the input.

        Args:
            box: start and stop along each output axis (k, j, i), inside of the voxels.
            shape: ``(K, J, I)`` of the input.
        """
        out = [slice(0)] * 3
        for part, axis, flip in zip(box, self.order, self.flips, strict=True):
            size = shape[axis]
            out[axis] = slice(size - part.stop, size - part.start) if flip else slice(part.start, part.stop)
        return out[0], out[1], out[2]

    def grid(self, grid: Grid) -> Grid:
        """Return the grid of the reoriented voxels: every voxel keeps its place in the patient."""
        columns, origin = [], grid.origin.copy()
        for axis, flip in zip(self.order, self.flips, strict=True):
            step = grid.affine[:3, 2 - axis]
            if flip:
                origin += step * (grid.shape[axis] - 1)
            columns.append(-step if flip else step)
        affine = np.eye(4)
        affine[:3, :3] = np.stack(columns[::-1], axis=1)
        affine[:3, 3] = origin
        shape = tuple(grid.shape[axis] for axis in self.order)
        return Grid((shape[0], shape[1], shape[2]), affine)


def to_axial(grid: Grid) -> Reorientation:
    """Find the reorientation that makes i run to the left, j to the back and k to the head, as nearly as it can.

    Every permutation is scored by the sum of the absolute cosines, so an oblique grid goes to its nearest axes.
    """
    cosines = grid.direction  # rows: L, P, S; columns: i, j, k
    best = max(_PERMUTATIONS, key=lambda p: sum(abs(cosines[world, p[world]]) for world in range(3)))
    # best[world] is the voxel axis (0=i, 1=j, 2=k) for L, P, S; outputs are listed as k, j, i = S, P, L.
    order = tuple(2 - best[world] for world in (2, 1, 0))
    flips = tuple(bool(cosines[world, best[world]] < 0) for world in (2, 1, 0))
    return Reorientation((order[0], order[1], order[2]), (flips[0], flips[1], flips[2]))


_PERMUTATIONS = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))


def resample(voxels: NDArray[Any], source: Grid, target: Grid, *, linear: bool = True) -> NDArray[Any]:
    """Resample ``(K, J, I)`` voxels onto another grid of the same patient frame.

    Args:
        voxels: ``(K, J, I)`` on ``source``.
        source: the grid of ``voxels``.
        target: the wanted grid.
        linear: trilinear (images) or nearest neighbour (label maps).

    Returns:
        ``target.shape`` voxels; 0 outside the source. Images come back as float32, label maps in their own type.
        Voxels up to half a step outside the outermost centres repeat the edge, so that a thin stack
        seen on a finer grid keeps its first and last slice.
    """
    if voxels.shape != source.shape:
        raise InputError(f"expected voxels {source.shape}, got {voxels.shape}")
    if source.same_as(target):
        return voxels.astype(np.float32, copy=False) if linear else voxels
    from scipy import ndimage  # half a second that an image on its own grid need not wait for

    matrix = np.linalg.inv(source.affine) @ target.affine  # target (i, j, k) -> source (i, j, k)
    flip = np.ix_([2, 1, 0], [2, 1, 0])
    matrix_kji, offset_kji = matrix[:3, :3][flip], matrix[:3, 3][::-1]
    data = voxels.astype(np.float32, copy=False) if linear else voxels
    out = ndimage.affine_transform(
        data, matrix_kji, offset_kji, output_shape=target.shape, order=1 if linear else 0, mode="nearest"
    )
    out[~_inside(matrix_kji, offset_kji, source.shape, target.shape)] = 0
    return np.asarray(out)


def _inside(
    matrix: NDArray[Any], offset: NDArray[Any], source: tuple[int, int, int], target: tuple[int, int, int]
) -> NDArray[np.bool_]:
    """Tell which target voxels lie within half a voxel of the source, ``target`` shaped."""
    half_voxel = 0.5 + 1e-6
    axes = np.ogrid[: target[0], : target[1], : target[2]]
    inside = np.ones(target, dtype=bool)
    for row in range(3):
        position = offset[row] + sum(matrix[row, col] * axes[col] for col in range(3))
        inside &= (position >= -half_voxel) & (position <= source[row] - 1 + half_voxel)
    return inside
