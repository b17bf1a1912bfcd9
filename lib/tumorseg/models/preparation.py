"""From any image to the slices that a slice-wise network sees, and back: the one way there and the one way back.

1. the wanted sequences are chosen, with the data set's fallback (:mod:`tumorseg.models.channels`);
2. axes are permuted and flipped to the nearest axial orientation, an exact change (:func:`tumorseg.geometry.to_axial`);
3. pixels far from the size the networks were trained on are resampled in the plane, nothing else is;
4. where the weights were trained so, the contrast of every slice is equalised (histogram or CLAHE); z-score over the
   foreground, per channel;
5. the box around the head is cut out of the air (:func:`tumorseg.transforms.crop.head_box`).

Every step can be undone for what a network says of voxels (:meth:`Prepared.restore`) and of slices, and a mask drawn on
the image goes the same way there (:meth:`Prepared.cut`), so that training sees what serving does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorseg.errors import InputError
from tumorseg.geometry import Grid, Reorientation, resample, to_axial
from tumorseg.models.channels import select_channels
from tumorseg.transforms.clahe import clahe
from tumorseg.transforms.crop import head_box
from tumorseg.transforms.equalise import equalise
from tumorseg.transforms.intensity import zscore_foreground
from tumorseg.types import StudyImage

if TYPE_CHECKING:
    from numpy.typing import NDArray

# TCGA-LGG was scanned with a field of view of 220 to 240 mm on 256 pixels; scale augmentation covers a quarter around.
TRAINED_PIXEL_MM = 0.9
PIXEL_TOLERANCE = 0.25
MIN_SIDE = 32
#: A resampled pixel belongs to a mask from this part of it on.
HALF = 0.5


#: What can be done to the contrast of every slice before the z-score.
CONTRASTS = ("none", "clahe", "equalise")


def preprocess(image: StudyImage, contrast: str = "none") -> NDArray[np.float32]:
    """The one chain of training, validation and inference: ``(C, K, J, I)`` axial voxels, normalised.

    Args:
        image: an axial image.
        contrast: one of :data:`CONTRASTS`.
    """
    if contrast not in CONTRASTS:
        raise InputError(f"expected a preprocessing of {', '.join(CONTRASTS)}, got {contrast!r}")
    voxels = image.voxels
    if voxels.dtype.kind == "f" and not np.isfinite(voxels).all():
        bad = int((~np.isfinite(voxels)).sum())
        raise InputError(f"{bad} voxels are not finite (NaN or infinity); repair the image before it is segmented")
    if contrast == "clahe":
        voxels = clahe(voxels)
    elif contrast == "equalise":
        voxels = equalise(voxels)
    return zscore_foreground(voxels)


@dataclass(frozen=True, eq=False)
class Prepared:
    """An image as a network sees it.

    Attributes:
        slices: ``(C, K, J, I)`` normalised axial slices, cut to the head.
        rows: where the cut lies in the working grid (J).
        columns: where the cut lies in the working grid (I).
        working: the axial grid before the cut.
        turn: from the image's axes to the axial ones.
        target: the image's own grid.
        notes: of the image and of the choice of sequences.
    """

    slices: NDArray[np.float32]
    rows: slice
    columns: slice
    working: Grid
    turn: Reorientation
    target: Grid
    notes: tuple[str, ...]

    @property
    def axis(self) -> int:
        """The axis of the image's ``(K, J, I)`` that the slices are stacked along."""
        return self.turn.order[0]

    def uncut(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Put ``(K, rows, columns)`` values of the cut back into the working grid, 0 around it."""
        out = np.zeros(self.working.shape, np.float32)
        out[:, self.rows, self.columns] = values
        return out

    def restore(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Bring values on the working grid to the image's own grid."""
        target = self.turn.grid(self.target)
        if not self.working.same_as(target):
            values = resample(values, self.working, target)
        return self.turn.invert(values)

    def cut(self, mask: NDArray[Any]) -> NDArray[np.uint8]:
        """Bring a mask on the image's own grid to where :attr:`slices` are; :meth:`uncut` and :meth:`restore` undo it.

        Where pixels are resampled, a pixel is marked that is marked at least by half. What lies outside of the cut is
        lost, as it is for the network.

        Args:
            mask: ``(K, J, I)`` of :attr:`target`; everything but 0 is marked.

        Returns:
            ``(K, rows, columns)``, 1 where it is marked.

        Raises:
            InputError: the mask has another shape.
        """
        if mask.shape != self.target.shape:
            raise InputError(f"expected a mask {self.target.shape} as its image, got {mask.shape}")
        marked = self.turn.apply(mask) > 0
        axial = self.turn.grid(self.target)
        if not self.working.same_as(axial):
            marked = resample(marked.astype(np.float32), axial, self.working) >= HALF
        return np.ascontiguousarray(marked[:, self.rows, self.columns], np.uint8)

    def along(self, values: NDArray[Any]) -> NDArray[Any]:
        """``(K,)`` values by slice from the network's order to the image's along :attr:`axis`, or back."""
        return values[::-1] if self.turn.flips[0] else values


def prepare(image: StudyImage, channels: tuple[str, ...], multiple: int, contrast: str = "none") -> Prepared:
    """Bring ``image`` to what a network sees.

    Args:
        image: any study.
        channels: the sequences that the network wants, in order.
        multiple: sides of the cut are multiples of this where there is room.
        contrast: one of :data:`CONTRASTS`.
    """
    chosen = select_channels(image, channels)
    turn = to_axial(chosen.grid)
    axial = replace(chosen, voxels=turn.apply(chosen.voxels), grid=turn.grid(chosen.grid))
    working = working_grid(axial)
    if working is not axial.grid:
        voxels = np.stack([resample(channel, axial.grid, working) for channel in axial.voxels])
        axial = replace(axial, voxels=voxels, grid=working)
    rows, columns = head_box(axial.voxels, multiple)
    return Prepared(
        preprocess(axial, contrast)[..., rows, columns], rows, columns, working, turn, image.grid, chosen.notes
    )


def working_grid(image: StudyImage) -> Grid:
    """The axial grid the network sees: the image's own unless its pixels are far from those of the training data."""
    grid = image.grid
    if not image.spacing_known:
        return grid
    ratio = [mm / TRAINED_PIXEL_MM for mm in grid.spacing[:2]]
    if all(1 - PIXEL_TOLERANCE <= r <= 1 + PIXEL_TOLERANCE for r in ratio):
        return grid
    columns, rows = (max(MIN_SIDE, round(n * r)) for n, r in zip(grid.shape[:0:-1], ratio, strict=True))
    scale = np.diag([grid.shape[2] / columns, grid.shape[1] / rows, 1.0, 1.0])
    scale[:2, 3] = [(grid.shape[2] / columns - 1) / 2, (grid.shape[1] / rows - 1) / 2]  # same edges, other centres
    return Grid((grid.shape[0], rows, columns), grid.affine @ scale)
