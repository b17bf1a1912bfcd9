"""Writing class folders of pictures with masks beside them, as BUSI is laid out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tumorseg.annotations.mask_folders import NORMAL, UNLABELLED
from tumorseg.annotations.place import copy_picture, inside
from tumorseg.annotations.types import Picture, PictureSet, Region
from tumorseg.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def write(pictures: PictureSet, folder: Path) -> None:
    """Write ``<class>/x.png`` with ``x_mask.png``, ``x_mask_1.png`` ...; polygons and boxes are filled.

    Raises:
        InputError: a picture has regions of two classes; the folder is the class.
    """
    for picture in pictures:
        place = _place(picture)
        copy_picture(picture, folder, place)
        by_file = {region.shape.get("mask_folders"): region for region in picture.regions}
        # The names that were read, empty masks among them, then new ones for regions from elsewhere.
        names = list(picture.attributes.get("masks", ()))
        new = [region for region in picture.regions if region.shape.get("mask_folders") not in names]
        for name in names:
            _write_mask(inside(folder, f"{Path(place).parent}/{name}"), by_file.get(name), picture)
        if not names and picture.labelled and not new:
            _write_mask(inside(folder, _mask_name(place, 0)), None, picture)
        for number, region in enumerate(new, start=len(names)):
            _write_mask(inside(folder, _mask_name(place, number)), region, picture)


def _place(picture: Picture) -> str:
    if "folder" in picture.attributes and "place" in picture.attributes:
        return str(picture.attributes["place"])
    labels = sorted({region.label for region in picture.regions})
    if len(labels) > 1:
        raise InputError(f"{picture.id} has regions of {', '.join(labels)}; a picture lies in the folder of one class")
    folder = labels[0] if labels else NORMAL if picture.labelled else UNLABELLED
    return f"{folder}/{picture.id.replace('/', '__')}{picture.path.suffix}"


def _mask_name(place: str, number: int) -> str:
    path = Path(place)
    return f"{path.parent}/{path.stem}_mask{f'_{number}' if number else ''}.png"


def _write_mask(target: Path, region: Region | None, picture: Picture) -> None:
    from PIL import Image

    shape = (picture.height, picture.width)
    mask: NDArray[np.bool_] = region.bitmap(*shape) if region is not None else np.zeros(shape, bool)
    Image.fromarray(mask.astype(np.uint8) * 255).save(target)
