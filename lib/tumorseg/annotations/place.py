"""Where pictures and files of a written set go: always inside its folder."""

from __future__ import annotations

import shutil
from pathlib import Path, PurePosixPath

from tumorseg.annotations.types import Picture
from tumorseg.errors import InputError


def inside(folder: Path, name: str) -> Path:
    """Return ``folder/name`` with its folders made; names come from data sets, so they may point elsewhere.

    Raises:
        InputError: the name leads out of the folder.
    """
    parts = PurePosixPath(name)
    if parts.is_absolute() or ".." in parts.parts or not parts.parts or "\\" in name or "\0" in name:
        raise InputError(f"expected the name of a file inside the data set, got {name!r}")
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


def copy_picture(picture: Picture, folder: Path, name: str | None = None) -> Path:
    """Copy a picture's file, byte for byte, to its id or to ``name`` below ``folder``; the ending stays."""
    target = inside(folder, name or f"{picture.id}{picture.path.suffix}")
    if target.exists():
        raise InputError(f"two pictures would be written to {name or picture.id}; rename one of them")
    shutil.copyfile(picture.path, target)
    return target
