"""The layout of kaggle_3m as annotated pictures: a slice is a picture, the parts of its mask are the objects.

The layout itself is described in :mod:`tumorseg.io.kaggle_3m`.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from tumorseg.annotations.collect import Problems, picture_ids, size_on_disk
from tumorseg.annotations.image_file import read_mask
from tumorseg.annotations.types import DEFAULT_LABEL, Picture, PictureSet, Region
from tumorseg.errors import InputError
from tumorseg.types import FLAIR, T1, T1GD

_SLICE = re.compile(r"_(\d+)\.tif$")


def fits(path: Path) -> bool:
    """Whether there is a patient's folder with masks of slices."""
    return path.is_dir() and any(path.glob("*/*_mask.tif"))


def read(path: Path) -> PictureSet:
    """Read the slices of all patients below ``path``, by patient and slice number.

    Raises:
        InputError: there is no slice with a mask.
    """
    if not fits(path):
        raise InputError(f"expected folders of <patient>_<n>.tif and <patient>_<n>_mask.tif in {path}")
    files = sorted((f for f in path.glob("*/*.tif") if _SLICE.search(f.name)), key=lambda f: (f.parent, _number(f)))
    ids, problems = picture_ids(path, files), Problems()
    pictures = [picture for file in files if (picture := _picture(file, ids[file], problems)) is not None]
    return PictureSet(path, "kaggle_3m", pictures, (DEFAULT_LABEL,), problems)


def _number(file: Path) -> int:
    match = _SLICE.search(file.name)
    return int(match[1]) if match else 0


def _picture(file: Path, name: str, problems: Problems) -> Picture | None:
    size = size_on_disk(file, problems)
    if size is None:
        return None
    mask, before = file.with_name(f"{file.stem}_mask.tif"), problems.hard_count
    regions = _parts(mask, size, problems) if mask.is_file() else ()
    if problems.hard_count > before:
        return None
    return Picture(
        id=name,
        path=file,
        width=size[0],
        height=size[1],
        regions=regions,
        patient=file.parent.name,
        attributes={"slice": _number(file)},
        labelled=mask.is_file(),
        channels=(T1, FLAIR, T1GD),
    )


def _parts(file: Path, size: tuple[int, int], problems: Problems) -> tuple[Region, ...]:
    """Return the connected parts (also over corners) of a mask, from the upper left."""
    from skimage.measure import label

    try:
        mask = read_mask(file)
    except InputError as error:
        problems.hard(file, "unreadable_picture", error)
        return ()
    if mask.shape != (size[1], size[0]):
        got = f"{mask.shape[1]} x {mask.shape[0]}"
        problems.hard(file, "size_mismatch", f"is {got} pixels, its picture is {size[0]} x {size[1]}")
        return ()
    if not mask.any():
        return ()
    parts = label(mask)
    return tuple(Region(DEFAULT_LABEL, mask=np.asarray(parts == number)) for number in range(1, parts.max() + 1))
