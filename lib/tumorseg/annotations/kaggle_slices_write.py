"""Writing the layout of kaggle_3m from annotated pictures."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorseg.annotations.place import copy_picture, inside
from tumorseg.annotations.types import Picture, PictureSet
from tumorseg.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def write(pictures: PictureSet, folder: Path) -> None:
    """Write ``<patient>/<patient>_<n>.tif`` with its mask; a picture whose patient is not known is one of its own.

    Raises:
        InputError: there are several classes, which the layout has no room for.
    """
    labels = {region.label for picture in pictures for region in picture.regions}
    if len(labels) > 1:
        raise InputError(f"kaggle_3m has one class; the set has {', '.join(sorted(labels))}: choose another format")
    count: Counter[str] = Counter()
    for picture in pictures:
        patient = (picture.patient or picture.id).replace("/", "__")
        count[patient] += 1
        name = f"{patient}/{patient}_{picture.attributes.get('slice', count[patient])}"
        if picture.path.suffix == ".tif":
            copy_picture(picture, folder, f"{name}.tif")
        else:
            _write_tiff(inside(folder, f"{name}.tif"), _colour(picture))
        if picture.labelled:
            _write_tiff(inside(folder, f"{name}_mask.tif"), _mask(picture))


def _colour(picture: Picture) -> NDArray[np.uint8]:
    """Return ``(H, W, 3)``; grey is repeated."""
    pixels = picture.pixels()
    return pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)


def _mask(picture: Picture) -> NDArray[np.uint8]:
    """Return ``(H, W)`` 0 or 255: all regions together."""
    mask = np.zeros((picture.height, picture.width), bool)
    for region in picture.regions:
        mask |= region.bitmap(*mask.shape)
    return mask.astype(np.uint8) * 255


def _write_tiff(target: Path, pixels: NDArray[Any]) -> None:
    import tifffile

    if target.exists():
        raise InputError(f"two pictures would be written to {target.name}; give their patients different names")
    tifffile.imwrite(target, pixels, photometric="rgb" if pixels.ndim == 3 else "minisblack")
