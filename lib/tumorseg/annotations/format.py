"""What a data set format is: how it is known, read and written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tumorseg.annotations.types import PictureSet


@dataclass(frozen=True)
class AnnotationFormat:
    """One entry of registry.ANNOTATIONS.

    Attributes:
        name: registry name.
        description: the layout, in a line.
        fits: whether a folder (or file) looks like this format; quick, reads names and little more.
        read: folder or file -> the set. What is wrong with single pictures is collected in its problems; InputError
            where nothing can be read at all.
        write: writes a set into an empty folder, pictures included.
    """

    name: str
    description: str
    fits: Callable[[Path], bool]
    read: Callable[[Path], PictureSet]
    write: Callable[[PictureSet, Path], None]
