"""The box around the brain as the published systems find it, and its exact inverse.

In every slice: air to zero -> CLAHE -> edges (Canny 1986) -> dilation, so that they close -> the largest contour
-> its extreme points. (Without the first step CLAHE makes edges of the noise in the air, and nothing is cut.)
The box of a volume holds the boxes of all its slices, so that it stays a volume.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tumorseg.errors import InputError
from tumorseg.transforms.clahe import clahe
from tumorseg.transforms.intensity import foreground_threshold

#: Of the Gaussian before the edges are looked for, in pixels.
SIGMA = 2.0
DILATION = 3
MARGIN = 4


@dataclass(frozen=True)
class PlaneCrop:
    """A box in the planes of an image, and the way back.

    Attributes:
        rows: kept rows (J).
        columns: kept columns (I).
        shape: ``(J, I)`` of the whole planes.
    """

    rows: slice
    columns: slice
    shape: tuple[int, int]

    def apply(self, voxels: NDArray[Any]) -> NDArray[Any]:
        """Cut ``(..., J, I)``; the kept voxels are copied, not changed."""
        if voxels.shape[-2:] != self.shape:
            raise InputError(f"expected planes of {self.shape}, got {voxels.shape[-2:]}")
        return np.ascontiguousarray(voxels[..., self.rows, self.columns])

    def invert(self, voxels: NDArray[Any], background: float = 0) -> NDArray[Any]:
        """Put a cut back to where it was; around it is ``background``, of the voxels' own type."""
        kept = (self.rows.stop - self.rows.start, self.columns.stop - self.columns.start)
        if voxels.shape[-2:] != kept:
            raise InputError(f"expected the cut planes of {kept}, got {voxels.shape[-2:]}")
        out = np.full((*voxels.shape[:-2], *self.shape), background, voxels.dtype)
        out[..., self.rows, self.columns] = voxels
        return out


def brain_crop(voxels: NDArray[Any], margin: int = MARGIN) -> PlaneCrop:
    """Find the box around the brain (with the skull, where that is in the picture).

    Args:
        voxels: ``(J, I)`` a picture, ``(K, J, I)`` a volume or ``(C, K, J, I)`` several sequences of one, which are
            laid over each other.
        margin: pixels around the contour, where there is room.

    Returns:
        One box for all planes: the whole picture where nothing stands out.
    """
    if not 2 <= voxels.ndim <= 4:
        raise InputError(f"expected a picture (J, I) or a volume ([C,] K, J, I), got an array of shape {voxels.shape}")
    if not np.isfinite(voxels).all():
        raise InputError("expected finite voxels, got NaN or infinity: repair the image first")
    planes = _without_air(voxels)
    height, width = planes.shape[-2:]
    boxes = np.array([box for plane in planes if (box := _contour_box(plane)) is not None])
    if not len(boxes):
        return PlaneCrop(slice(0, height), slice(0, width), (height, width))
    top, left = (boxes[:, :2].min(axis=0) - margin).clip(0)
    bottom, right = np.minimum(boxes[:, 2:].max(axis=0) + margin, (height, width))
    return PlaneCrop(slice(int(top), int(bottom)), slice(int(left), int(right)), (height, width))


def _without_air(voxels: NDArray[Any]) -> NDArray[np.float32]:
    """``(K, J, I)``, the mean of the sequences in units of their own range, zero where none is brighter than air."""
    sequences = voxels.reshape(-1, *voxels.shape[-3:] if voxels.ndim > 2 else (1, *voxels.shape))
    out = np.zeros(sequences.shape[1:], np.float32)
    for sequence in sequences:
        threshold = foreground_threshold(sequence)
        if threshold > 0:
            out += np.where(sequence > threshold, sequence / threshold, 0).astype(np.float32)
    return out


def _contour_box(plane: NDArray[Any]) -> tuple[int, int, int, int] | None:
    """Top, left, bottom, right (half-open) of the largest contour of a ``(J, I)`` plane; None where there is none.

    The extreme points of a closed contour are the box of what it encloses, and the largest is the one with the
    largest box.
    """
    from skimage.feature import canny
    from skimage.measure import label, regionprops
    from skimage.morphology import dilation, disk

    edges = canny(clahe(plane), sigma=SIGMA)
    if not edges.any():
        return None
    regions = regionprops(label(dilation(edges, disk(DILATION))))
    top, left, bottom, right = max(regions, key=lambda region: region.area_bbox).bbox
    return top, left, bottom, right
