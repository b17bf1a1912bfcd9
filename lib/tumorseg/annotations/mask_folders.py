"""Folders of pictures by class, each with its masks: the layout of BUSI.

``ROOT/benign/x.png`` with ``x_mask.png``, and ``x_mask_1.png``, ``x_mask_2.png`` where there are several lesions; the
folder names the class. Pictures of ``normal`` have an empty mask, or none, and count as looked at.

Al-Dhabyani, Gomaa, Khaled, Fahmy: Dataset of breast ultrasound images. Data in Brief 28, 2020.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tumorseg.annotations.collect import Problems, picture_ids, size_on_disk, split_of
from tumorseg.annotations.image_file import pictures_below, read_mask
from tumorseg.annotations.types import Picture, PictureSet, Region
from tumorseg.errors import InputError

#: Folder of pictures without lesion; it is no class.
NORMAL = "normal"
#: Folder that our writer puts pictures into that nobody annotated; it is no class either.
UNLABELLED = "unlabelled"
_MASK = re.compile(r"^(?P<stem>.+?)_mask(?:_(?P<number>\d+))?$", re.IGNORECASE)


def fits(path: Path) -> bool:
    """Whether there is a folder of pictures with masks beside them, in a folder or one further down."""
    if not path.is_dir():
        return False
    return any(_MASK.match(file.stem) for pattern in ("*/*.png", "*/*/*.png") for file in path.glob(pattern))


def read(path: Path) -> PictureSet:
    """Read all class folders below ``path``; folders of a split may lie between.

    Raises:
        InputError: there is no picture with a mask.
    """
    files = pictures_below(path)
    masks: dict[tuple[Path, str], list[Path]] = defaultdict(list)
    for file in files:
        if match := _MASK.match(file.stem):
            masks[file.parent, match["stem"]].append(file)
    if not masks:
        raise InputError(f"found no masks such as {path}/benign/x_mask.png")
    problems = Problems()
    originals = [file for file in files if not _MASK.match(file.stem)]
    ids = picture_ids(path, originals)
    pictures = []
    for file in originals:
        own = sorted(masks.pop((file.parent, file.stem), []), key=_number)
        picture = _picture(path, ids[file], file, own, problems)
        pictures += [picture] if picture is not None else []
    for folder, stem in masks:
        problems.hard(folder / f"{stem}.png", "missing_picture", "has a mask, but there is no such picture")
    classes = sorted({file.parent.name for file in originals} - {NORMAL, UNLABELLED})
    return PictureSet(path, "mask_folders", pictures, classes, problems)


def _number(mask: Path) -> int:
    match = _MASK.match(mask.stem)
    return int(match["number"] or 0) if match else 0


def _picture(root: Path, name: str, file: Path, masks: Iterable[Path], problems: Problems) -> Picture | None:
    size = size_on_disk(file, problems)
    if size is None:
        return None
    label = file.parent.name
    masks = list(masks)
    before = problems.hard_count
    regions = [region for mask in masks if (region := _region(mask, size, label, problems)) is not None]
    if problems.hard_count > before:
        return None
    if not masks and label not in (NORMAL, UNLABELLED):
        problems.soft(file, "unannotated_picture", f"has no {file.stem}_mask.png; it counts as not annotated")
    attributes: dict[str, Any] = {"folder": label, "place": file.relative_to(root).as_posix()}
    attributes["masks"] = [mask.name for mask in masks]
    split = split_of(root, file)
    if split:
        attributes["split"] = split
    return Picture(
        id=name,
        path=file,
        width=size[0],
        height=size[1],
        regions=tuple(regions),
        attributes=attributes,
        labelled=bool(masks) or label == NORMAL,
    )


def _region(file: Path, size: tuple[int, int], label: str, problems: Problems) -> Region | None:
    """Return the region of one mask file; None where it is empty or unusable, which is noted."""
    try:
        mask = read_mask(file)
    except InputError as error:
        problems.hard(file, "unreadable_picture", error)
        return None
    if mask.shape != (size[1], size[0]):
        got = f"{mask.shape[1]} x {mask.shape[0]}"
        problems.hard(file, "size_mismatch", f"is {got} pixels, its picture is {size[0]} x {size[1]}; export it again")
        return None
    if not mask.any():
        if label != NORMAL:
            problems.soft(file, "empty_mask", f"has no pixel set, though it lies in {label!r}; there is no region")
        return None
    return Region(label, mask=mask, shape={"mask_folders": file.name})
