"""Which patients or pictures are measured, and how many of them trained the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tumorseg.cli.console import note
from tumorseg.cli.evaluate.wanted import Wanted
from tumorseg.errors import InputError, NotFoundError

if TYPE_CHECKING:
    from tumorseg.annotations import Picture, PictureSet


@dataclass(frozen=True)
class ChosenPatients:
    """Patients in the order of the data, and how many of them trained the model."""

    ids: tuple[str, ...]
    seen: int


@dataclass(frozen=True)
class ChosenPictures:
    """Annotated pictures, how many were left out, and how many trained the model (None where no split says it)."""

    pictures: tuple[Picture, ...]
    not_annotated: int
    seen: int | None


def choose_patients(wanted: Wanted) -> ChosenPatients:
    """Find out which patients are measured."""
    from tumorseg.io.datasets import open_dataset
    from tumorseg.training.splits import load_split

    frozen = load_split(wanted.split or _beside(wanted) or "lgg")
    there = open_dataset(wanted.data, wanted.patients or None).patients
    names = set(frozen.subset(wanted.subset)) if wanted.subset else set(there)
    chosen = tuple(patient for patient in there if patient in names)
    if not chosen:
        raise InputError(
            f"none of the {len(names)} {wanted.subset} patients is in {wanted.data}; it has {len(there)} others"
        )
    if len(chosen) < len(names):
        note(f"note: {len(names) - len(chosen)} of {len(names)} {wanted.subset} patients are not in {wanted.data}")
    return ChosenPatients(chosen, len(set(chosen) & set(frozen.train)))


def choose_pictures(wanted: Wanted, pictures: PictureSet, default_split: str | None) -> ChosenPictures:
    """Find out which pictures are measured; those that nobody annotated never are."""
    from tumorseg.evaluation.seen import PictureSplit, read_picture_split

    name = wanted.split or _beside(wanted) or default_split
    if name is None and wanted.subset:
        raise InputError(f"--subset {wanted.subset} needs --split FILE: no split is known for {wanted.model}")
    frozen: PictureSplit | None = None
    if name is not None:
        try:
            frozen = read_picture_split(name)
        except NotFoundError:
            if wanted.split or wanted.subset:
                raise
    chosen = tuple(pictures)
    if wanted.patients:
        chosen = _named(pictures, wanted.patients)
    elif wanted.subset and frozen is not None:
        chosen = frozen.choose(pictures, wanted.subset)
        if not chosen:
            raise InputError(f"none of the {wanted.subset} pictures is in {wanted.data}; it has {len(pictures)} others")
    annotated = tuple(picture for picture in chosen if picture.labelled)
    seen = None if frozen is None else len(frozen.choose(annotated, "train"))
    return ChosenPictures(annotated, len(chosen) - len(annotated), seen)


def warn_of_seen(seen: int | None, what: str) -> None:
    """Say that a figure is too good."""
    if seen:
        note(f"warning: {seen} of these {what} trained the model, so it looks better than it is; see --subset")


def _named(pictures: PictureSet, ids: tuple[str, ...]) -> tuple[Picture, ...]:
    known = {picture.id: picture for picture in pictures}
    missing = [name for name in ids if name not in known]
    if missing:
        raise NotFoundError(f"no picture {missing[0]!r} in {pictures.root}; known: {', '.join(list(known)[:5])}, …")
    return tuple(known[name] for name in ids)


def _beside(wanted: Wanted) -> str | None:
    """Return the split that lies beside weights of the user's own."""
    beside = wanted.weights.parent / "split.json" if wanted.weights else None
    return str(beside) if beside and beside.is_file() else None
