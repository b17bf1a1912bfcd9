"""What a model is asked to look at: how it is read, and how to tell that two requests mean the same."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tumorseg.adapters.files import fingerprint
from tumorseg.adapters.sources import suffix_of

if TYPE_CHECKING:
    from tumorseg.geometry import Grid
    from tumorseg.types import StudyImage


@dataclass(frozen=True)
class Subject:
    """An image that is not read yet.

    Attributes:
        title: names the answer's file.
        fingerprint: the same for the same content shown on the same grid; None is like no other.
        read: channels -> the image, and the grid that the answer shall lie on; None reads what is shown alone.
    """

    title: str
    fingerprint: Hashable | None
    read: Callable[[tuple[str, ...] | None], tuple[StudyImage, Grid]]

    @classmethod
    def of_file(cls, path: Path) -> Subject:
        """Take a file or a folder that is not of the studies; a file is known by its content, whoever sent it."""

        def read(channels: tuple[str, ...] | None) -> tuple[StudyImage, Grid]:
            from tumorseg.io import read_study

            image = read_study(path, channels=channels)
            return image, image.grid

        if path.is_dir():
            return cls("session", fingerprint(tuple(sorted(path.iterdir()))), read)
        with path.open("rb") as file:
            return cls("session", (suffix_of(path), hashlib.file_digest(file, "blake2b").digest()), read)
