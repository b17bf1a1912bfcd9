"""Images and answers given on one grid, shown on another of the same patient frame."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorseg.geometry import Grid, resample
from tumorseg.types import Detections, Instance, Prediction, Segmentation, StudyImage

if TYPE_CHECKING:
    from numpy.typing import NDArray

THRESHOLD = 0.5
#: Axes that lean by less than this share of a step along each other are parallel.
PARALLEL_TOLERANCE = 1e-3


def on_grid(image: StudyImage, grid: Grid) -> StudyImage:
    """Resample every channel of ``image`` onto ``grid`` (trilinear)."""
    if image.grid.same_as(grid):
        return image
    voxels = np.stack([resample(channel, image.grid, grid) for channel in image.voxels])
    return replace(image, voxels=voxels, grid=grid)


def regrid(prediction: Prediction, grid: Grid) -> Prediction:
    """Bring ``prediction`` onto ``grid``.

    A single label with a probability is resampled as probability (trilinear) and cut again, so that its border does
    not show the steps of thick slices; other label maps are resampled by nearest neighbour. Outside of the old grid
    nothing is marked. Detections are brought over one by one, and the label map is theirs; a note says how many lie
    outside of the new grid.
    """
    old = prediction.segmentation
    if old.grid.same_as(grid):
        return prediction
    if prediction.detections is not None:
        return _with_detections(prediction, regrid_detections(prediction.detections, grid))
    if old.probability is not None and len(old.labels) == 1:
        probability = resample(old.probability, old.grid, grid)
        (value,) = old.labels.values()
        voxels = (probability >= THRESHOLD).astype(old.voxels.dtype) * old.voxels.dtype.type(value)
        new = Segmentation(voxels, grid, old.labels, probability)
    else:
        new = Segmentation(resample(old.voxels, old.grid, grid, linear=False), grid, old.labels)
    return replace(prediction, segmentation=new)


def regrid_detections(detections: Detections, grid: Grid) -> Detections:
    """Bring every instance onto ``grid``: its mask by nearest neighbour, and the box around the old box.

    Where the grids are turned against each other, that box would grow; there it is the one around the mask. An instance
    too thin to meet a voxel's centre keeps the voxels nearest to it; one that lies outside of ``grid`` is left out.
    """
    moved = (_moved(instance, detections.grid, grid) for instance in detections.instances)
    kept = tuple(instance for instance in moved if instance is not None)
    return Detections(kept, grid, detections.labels)


def _with_detections(prediction: Prediction, found: Detections) -> Prediction:
    """Put detections on a new grid into a prediction, and say what was lost on the way."""
    assert prediction.detections is not None
    lost = len(prediction.detections) - len(found)
    note = f"{lost} of {len(prediction.detections)} lesions lie outside of the series that is shown"
    notes = (*prediction.notes, note) if lost else prediction.notes
    return replace(prediction, segmentation=found.label_map(), detections=found, notes=notes)


def _moved(instance: Instance, old: Grid, new: Grid) -> Instance | None:
    """One instance on another grid; None where nothing of it lies there."""
    corners = _corners(instance.box) - 0.5
    box = new.indices(old.points(corners)) + 0.5
    low = np.clip(np.floor(box.min(axis=0)), 0, new.shape[::-1]).astype(int)
    high = np.clip(np.ceil(box.max(axis=0)), 0, new.shape[::-1]).astype(int)
    if (high <= low).any():
        return None
    cut = _part(new, low, high)
    mask = _mask_on(instance, old, cut)
    if not mask.any():
        return None
    step = np.abs(np.linalg.solve(new.affine[:3, :3], old.affine[:3, :3]))
    parallel = (np.sort(step, axis=0)[:-1] <= PARALLEL_TOLERANCE * step.max(axis=0)).all()
    if parallel:
        edges = np.concatenate([np.maximum(box.min(axis=0), 0), np.minimum(box.max(axis=0), new.shape[::-1])])
    else:
        k, j, i = (np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3))
        edges = np.array([i[0], j[0], k[0], i[-1] + 1, j[-1] + 1, k[-1] + 1]) + np.tile(low, 2)
    return replace(instance, box=edges.astype(np.float64), mask=mask, origin=(int(low[2]), int(low[1]), int(low[0])))


def _mask_on(instance: Instance, old: Grid, cut: Grid) -> NDArray[np.bool_]:
    """The mask of an instance on a part of another grid, ``(k, j, i)``."""
    k, j, i = instance.origin
    own = _part(old, np.array([i, j, k]), np.array([i, j, k]) + instance.mask.shape[::-1])
    mask = resample(instance.mask.astype(np.uint8), own, cut, linear=False) > 0
    if not mask.any():
        nearest = np.rint(cut.indices(own.points(np.argwhere(instance.mask)[:, ::-1]))).astype(int)
        inside = nearest[((nearest >= 0) & (nearest < cut.shape[::-1])).all(axis=1)]
        mask[inside[:, 2], inside[:, 1], inside[:, 0]] = True
    return mask


def _part(grid: Grid, low: NDArray[np.int_], high: NDArray[np.int_]) -> Grid:
    """The voxels from ``low`` up to and without ``high``, both (i, j, k), as a grid of their own."""
    affine = np.array(grid.affine)
    affine[:3, 3] = grid.points(low[None])[0]
    size_i, size_j, size_k = (int(n) for n in high - low)
    return Grid((size_k, size_j, size_i), affine)


def _corners(box: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """The eight corners of a box ``(i0, j0, k0, i1, j1, k1)``, ``(8, 3)``."""
    return np.array(list(itertools.product(*zip(box[:3], box[3:], strict=True))), dtype=np.float64)
