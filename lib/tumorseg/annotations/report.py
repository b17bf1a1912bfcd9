"""Everything that is wrong with one or several sets of annotated pictures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tumorseg.annotations.check import check_pictures
from tumorseg.annotations.duplicates import find_duplicates
from tumorseg.annotations.open import open_pictures
from tumorseg.annotations.types import Picture, Problem

#: Part of a split of a picture for which nothing says it.
WHOLE = "the set"

Progress = Callable[[int, int], object]


@dataclass(frozen=True)
class Report:
    """What was looked at and what was found.

    Attributes:
        pictures: how many could be read.
        parts: part of the split -> number of pictures.
        problems: all of them, hard and soft.
    """

    pictures: int
    parts: dict[str, int]
    problems: tuple[Problem, ...]


def check_sets(
    folders: Sequence[Path],
    format: str | None = None,
    labels: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> Report:
    """Read and check sets; several folders are parts of a split, each part called as the folder.

    Raises:
        InputError: a folder of no known format, or an annotation file that cannot be read at all.
    """
    pictures: list[Picture] = []
    parts: list[str] = []
    problems: list[Problem] = []
    for done, folder in enumerate(folders):
        if progress is not None:
            progress(done, len(folders) + 1)
        found = check_pictures(open_pictures(folder, format, keep_going=True), labels)
        problems += found.problems
        pictures += found
        own = [str(picture.attributes.get("split", WHOLE)) for picture in found]
        parts += [str(folder)] * len(found) if len(folders) > 1 else own
    if progress is not None:
        progress(len(folders), len(folders) + 1)
    problems += [*find_duplicates(pictures, parts), *_patients(pictures, parts)]
    count: dict[str, int] = defaultdict(int)
    for part in parts:
        count[part] += 1
    return Report(len(pictures), dict(count), tuple(problems))


def _patients(pictures: Sequence[Picture], parts: Sequence[str]) -> list[Problem]:
    """Report patients with pictures in more than one part."""
    seen: dict[str, dict[str, Picture]] = defaultdict(dict)
    for picture, part in zip(pictures, parts, strict=True):
        if picture.patient is not None:
            seen[picture.patient].setdefault(part, picture)
    problems = []
    for patient, where in seen.items():
        if len(where) > 1:
            text = f"patient {patient} has pictures in {' and '.join(sorted(where))}; a patient belongs into one"
            problems.append(Problem(list(where.values())[-1].path, "patient_across_splits", text))
    return problems
