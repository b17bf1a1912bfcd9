"""The pure functions of this room as MONAI dictionary transforms, for pipelines that are built of those.

Kept apart because importing MONAI takes seconds that a prediction does not need to spend.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
from monai.config import KeysCollection
from monai.transforms.croppad.array import CropForeground
from monai.transforms.croppad.dictionary import CropForegroundd
from monai.transforms.transform import MapTransform
from monai.utils.type_conversion import convert_to_dst_type

from tumorseg.transforms.brain_crop import MARGIN, brain_crop
from tumorseg.transforms.clahe import CLIP_LIMIT, TILES, clahe
from tumorseg.transforms.equalise import equalise
from tumorseg.transforms.intensity import zscore_foreground


class ZScoreForegroundd(MapTransform):  # type: ignore[misc]
    """:func:`tumorseg.transforms.intensity.zscore_foreground`; the arrays under ``keys`` are ``(C, K, J, I)``."""

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return a copy of ``data`` with the normalised arrays."""
        out = dict(data)
        for key in self.key_iterator(out):
            out[key] = zscore_foreground(np.asarray(out[key]))
        return out


class Clahed(MapTransform):  # type: ignore[misc]
    """:func:`tumorseg.transforms.clahe.clahe` of ``(C, [K,] J, I)``. Intensities only: there is no inverse."""

    def __init__(
        self, keys: KeysCollection, clip_limit: float = CLIP_LIMIT, tiles: int = TILES, allow_missing_keys: bool = False
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.clip_limit, self.tiles = clip_limit, tiles

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return a copy of ``data`` with the arrays of more contrast."""
        out = dict(data)
        for key in self.key_iterator(out):
            out[key] = _like(clahe(np.asarray(out[key]), self.clip_limit, self.tiles), out[key])
        return out


class Equalised(MapTransform):  # type: ignore[misc]
    """:func:`tumorseg.transforms.equalise.equalise` of ``(C, [K,] J, I)``. Intensities only: there is no inverse."""

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return a copy of ``data`` with the equalised arrays."""
        out = dict(data)
        for key in self.key_iterator(out):
            out[key] = _like(equalise(np.asarray(out[key])), out[key])
        return out


class BrainCropd(CropForegroundd):  # type: ignore[misc]
    """:func:`tumorseg.transforms.brain_crop.brain_crop` of ``source_key`` for all ``keys``, ``(C, [K,] J, I)``.

    MONAI's own cropping does the cutting, so that ``inverse`` pads back with zeros to the voxels of before, and the
    affine of a ``MetaTensor`` moves with its first voxel.
    """

    def __init__(
        self, keys: KeysCollection, source_key: str, margin: int = MARGIN, allow_missing_keys: bool = False
    ) -> None:
        super().__init__(keys, source_key, allow_missing_keys=allow_missing_keys)
        self.cropper = _BrainCrop(margin)


class _BrainCrop(CropForeground):  # type: ignore[misc]
    def __init__(self, margin: int) -> None:
        super().__init__()
        self.brain_margin = margin

    def compute_bounding_box(self, img: Any) -> tuple[Any, Any]:
        """Start and stop of the kept box along the spatial axes of ``(C, [K,] J, I)``."""
        voxels = np.asarray(img)
        stack = voxels if voxels.ndim == 4 else voxels[:, None]
        found = brain_crop(stack, self.brain_margin)
        whole = [0] * (voxels.ndim - 3), list(voxels.shape[1:-2])
        start = [*whole[0], found.rows.start, found.columns.start]
        return np.array(start), np.array([*whole[1], found.rows.stop, found.columns.stop])


def _like(values: Any, original: Any) -> Any:
    """``values`` with what a MetaTensor knows of its place; an array stays an array."""
    return convert_to_dst_type(values, original, dtype=values.dtype)[0]
