"""Putting a set together: ids, sizes and problems, the same for every format."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tumorseg.annotations.image_file import picture_size, pictures_below
from tumorseg.annotations.types import Picture, Problem
from tumorseg.errors import InputError

#: Folder names that say to which part of a split the pictures in it belong.
SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


class Problems:
    """What was found wrong while a set is read."""

    def __init__(self) -> None:
        self._found: list[Problem] = []

    def __iter__(self) -> Iterator[Problem]:
        return iter(self._found)

    @property
    def hard_count(self) -> int:
        """How much was found that makes a picture unusable; compared before and after a picture is read."""
        return sum(problem.hard for problem in self._found)

    def hard(self, file: Path, kind: str, message: object) -> None:
        """Note what makes a picture unusable: its annotation would be half of what was meant."""
        self._found.append(Problem(file, kind, _without_file(file, message), hard=True))

    def soft(self, file: Path, kind: str, message: object) -> None:
        """Note what a person should know of."""
        self._found.append(Problem(file, kind, _without_file(file, message)))


def picture_ids(root: Path, files: Sequence[Path]) -> dict[Path, str]:
    """Return file -> id, the path below ``root`` without the ending; with it where two would be called the same."""
    stems = {file: _below(root, file).with_suffix("").as_posix() for file in files}
    count = Counter(stems.values())
    return {file: stem if count[stem] == 1 else f"{stem}_{file.suffix[1:].lower()}" for file, stem in stems.items()}


def pictures_beside(root: Path, named: Iterable[Path]) -> list[Path]:
    """List the picture files that lie where the annotated ones lie, in or below ``root``, and are not among them."""
    known = set(named)
    folders = {file.parent for file in known}
    return [file for file in pictures_below(root) if file not in known and file.parent in folders]


def unannotated(root: Path, file: Path, name: str, problems: Problems) -> Picture | None:
    """Return a picture that nobody annotated, and note that there is one."""
    problems.soft(file, "unannotated_picture", "lies among the pictures, but nothing is said of it; it is not labelled")
    size, split = size_on_disk(file, problems), split_of(root, file)
    attributes = {"split": split} if split else {}
    return Picture(name, file, *size, attributes=attributes, labelled=False) if size else None


def split_of(root: Path, file: Path) -> str | None:
    """Return the part of a split that the folders between ``root`` (included) and ``file`` name, None for none."""
    folders = (root.resolve().name, *_below(root, file).parts[:-1])
    return next((SPLITS[name.lower()] for name in reversed(folders) if name.lower() in SPLITS), None)


def size_on_disk(file: Path, problems: Problems) -> tuple[int, int] | None:
    """Return (width, height) of a picture, None where it cannot be read, which is noted."""
    if not file.is_file():
        problems.hard(file, "missing_picture", "annotated, but there is no such file; add it or remove the annotation")
        return None
    try:
        return picture_size(file)
    except InputError as error:
        problems.hard(file, "unreadable_picture", error)
        return None


def is_below(root: Path, file: Path) -> bool:
    """Whether a path stays inside the folder when its ``..`` are followed; links are the user's own doing."""
    return Path(os.path.normpath(file)).is_relative_to(os.path.normpath(root))


def _below(root: Path, file: Path) -> Path:
    return file.relative_to(root) if file.is_relative_to(root) else Path(file.name)


def _without_file(file: Path, message: object) -> str:
    """Drop the file's name from the beginning of a message: a problem says it anyway."""
    text = str(message)
    return text.removeprefix(f"{file}: ").removeprefix(f"{file} ")
