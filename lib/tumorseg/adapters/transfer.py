"""Data sets into data stores and out again: nothing is half done, and nothing is left out in silence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tumorseg.adapters.picture_store import FILE, Progress, write_store
from tumorseg.adapters.staging import check_new_folder, staged
from tumorseg.annotations import PictureSet, Problem, open_pictures
from tumorseg.annotations.open import annotation_format
from tumorseg.errors import InputError

#: Formats whose cases are volumes when they are imported; as pictures kaggle_3m is read slice by slice.
VOLUMES = ("kaggle_3m", "nifti_pairs")


@dataclass(frozen=True)
class Transfer:
    """What was, or would be, imported or exported.

    Attributes:
        target: the folder.
        images: number of pictures or volumes.
        labelled: how many of them somebody annotated.
        regions: class name -> number of objects; of volumes the number of labels.
        left_out: what could not be taken.
        notes: what a person should know of what was taken.
        written: False for a dry run.
    """

    target: Path
    images: int
    labelled: int
    regions: dict[str, int] = field(default_factory=dict)
    left_out: tuple[Problem, ...] = ()
    notes: tuple[Problem, ...] = ()
    written: bool = True


def import_pictures(
    format: str,
    source: Path,
    target: Path,
    *,
    labels: Sequence[str] | None = None,
    skip_bad: bool = False,
    strict: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Transfer:
    """Make a data store of a set of annotated pictures.

    Args:
        format: a name in ANNOTATIONS.
        source: the set.
        target: a new folder.
        labels: the classes there may be, in the order of their values; None takes those of the set.
        skip_bad: leave out the pictures with which something is wrong, instead of refusing the whole.
        strict: refuse the whole also for what could be taken (an outline outside its picture, an empty mask).
        dry_run: do everything but write.
        progress: called with how many pictures are done, of how many.

    Raises:
        InputError: something is wrong with a file, which it names; nothing is written.
    """
    check_new_folder(target)
    pictures = read_set(format, source, labels)
    if strict and pictures.problems:
        raise InputError(_first(pictures.problems))
    if not skip_bad:
        pictures.require_sound()
    if not len(pictures):
        raise InputError(f"{source} holds no picture that could be imported as {format}")
    report = _report(pictures, target, written=not dry_run)
    if not dry_run:
        with staged(target) as folder:
            write_store(pictures, folder, progress)
    return report


def read_set(format: str | None, source: Path, labels: Sequence[str] | None = None) -> PictureSet:
    """Read a set and check every picture as far as no comparison is needed; what is wrong is in its problems."""
    from tumorseg.annotations.check import check_pictures

    pictures = open_pictures(source, format, keep_going=True)
    return check_pictures(pictures, labels)


def export_pictures(format: str, source: Path, target: Path, *, skip_bad: bool = False) -> Transfer:
    """Write a data store of pictures, or any other annotated set, in a format.

    Raises:
        InputError: ``source`` is no set, is damaged, or the format has no room for what is in it.
    """
    check_new_folder(target)
    chosen = annotation_format(format)
    pictures = open_pictures(source, "datastore" if (source / FILE).is_file() else None, keep_going=skip_bad)
    with staged(target) as folder:
        chosen.write(pictures, folder)
    return _report(pictures, target, written=True)


def _report(pictures: PictureSet, target: Path, *, written: bool) -> Transfer:
    count = Counter(region.label for picture in pictures for region in picture.regions)
    return Transfer(
        target=target,
        images=len(pictures),
        labelled=len(pictures.labelled()),
        regions={label: count[label] for label in pictures.labels},
        left_out=tuple(problem for problem in pictures.problems if problem.hard),
        notes=tuple(problem for problem in pictures.problems if not problem.hard),
        written=written,
    )


def _first(problems: Sequence[Problem]) -> str:
    more = f" ({len(problems) - 1} more; `tumorseg check` lists them)" if len(problems) > 1 else ""
    return f"{problems[0]}{more}"
