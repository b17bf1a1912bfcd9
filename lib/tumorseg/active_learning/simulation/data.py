"""The patients of a simulation: some to choose from, the others, fixed once and for all, to measure on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from tumorseg.active_learning.frozen import assign
from tumorseg.active_learning.simulation.phantoms import phantoms
from tumorseg.active_learning.simulation.settings import MULTIPLE, Settings
from tumorseg.errors import InputError
from tumorseg.io.kaggle_3m import Kaggle3m
from tumorseg.models.preparation import preprocess
from tumorseg.training.data import Volume, load_volumes
from tumorseg.training.splits import load_split

PHANTOMS = 40

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Patients:
    """Preprocessed volumes.

    Attributes:
        pool: to choose from; their truth is what the simulated annotator knows.
        held_out: to measure on; nobody trains on them, ever.
        name: says which data this is, in results.
    """

    pool: tuple[Volume, ...]
    held_out: tuple[Volume, ...]
    name: str

    def __post_init__(self) -> None:
        both = {v.id for v in self.pool} & {v.id for v in self.held_out}
        if both:
            raise InputError(f"a patient trains or validates, never both: {', '.join(sorted(both)[:5])}")
        if len(self.pool) < 2 or not self.held_out or not any(v.mask.any() for v in self.pool):
            raise InputError(
                f"expected at least two patients to choose from, some with tumour, and one to measure on; got "
                f"{len(self.pool)} and {len(self.held_out)}"
            )

    @cached_property
    def digest(self) -> str:
        """What tells these voxels and masks from others that are called the same."""
        found = hashlib.sha256()
        for volume in (*self.pool, *self.held_out):
            found.update(repr((volume.id, volume.image.shape)).encode())
            found.update(volume.image.tobytes())
            found.update(volume.mask.tobytes())
        return found.hexdigest()[:12]


def synthetic() -> Patients:
    """Return made-up patients, a fifth of them held out."""
    made = phantoms(PHANTOMS)
    parts = assign(volume.id for volume in made)
    return _patients(made, [v.id for v in made if parts[v.id] == "validation"], f"synthetic ({PHANTOMS} phantoms)")


def from_folder(root: Path, settings: Settings, progress: Progress | None = None) -> Patients:
    """Read the patients of a kaggle_3m folder.

    Held out are those that do not train in the shipped frozen split where that knows every patient of the folder
    (validation and test together: nothing is tuned on them here), else those that the hash of their name says.
    Patients without any tumour are not measured on: their Dice is 1 or 0 by one pixel.
    """
    names = Kaggle3m(root).patients
    held_out = held_out_of(names)
    pool = [name for name in names if name not in held_out]
    if settings.patients is not None:
        drawn = np.random.default_rng(0).permutation(len(pool))[: settings.patients]
        pool = [pool[index] for index in sorted(drawn)]
    volumes = []
    for done, name in enumerate([*pool, *held_out]):
        (volume,) = load_volumes(Kaggle3m(root, [name]), partial(preprocess, contrast="none"))
        volumes.append(shrink(volume, settings.shrink))
        if progress:
            progress(done + 1, len(pool) + len(held_out))
    sizes = {volume.image.shape[1:] for volume in volumes}
    if len(sizes) > 1:
        raise InputError(f"expected slices of one size in {root}, got {sorted(sizes)}")
    return _patients(volumes, held_out, f"{root.name} ({len(pool)} + {len(held_out)} patients)")


def held_out_of(names: Sequence[str]) -> list[str]:
    """Return the patients to measure on."""
    split = load_split()
    if set(names) <= {*split.train, *split.validation, *split.test}:
        return [name for name in names if name not in split.train]
    parts = assign(names)
    return [name for name in names if parts[name] == "validation"]


def shrink(volume: Volume, factor: int) -> Volume:
    """Average ``factor`` x ``factor`` pixels to one; both ends are cut so that a network can halve the sides."""
    rows, columns = (_cut(side, factor * MULTIPLE) for side in volume.mask.shape[1:])
    image, mask = volume.image[:, :, rows, columns], volume.mask[:, rows, columns]
    if factor == 1:
        return Volume(volume.id, np.ascontiguousarray(image), np.ascontiguousarray(mask))
    small = _average(image.astype(np.float32), factor).astype(np.float16)
    return Volume(volume.id, small, (_average(mask.astype(np.float32), factor) >= 0.5).astype(np.uint8))


def _patients(volumes: Sequence[Volume], held_out: Sequence[str], name: str) -> Patients:
    away = set(held_out)
    measured = tuple(v for v in volumes if v.id in away and v.mask.any())
    return Patients(tuple(v for v in volumes if v.id not in away), measured, name)


def _cut(side: int, multiple: int) -> slice:
    kept = side // multiple * multiple
    if not kept:
        raise InputError(f"expected pictures of at least {multiple} pixels a side, got {side}; shrink them less")
    return slice((side - kept) // 2, (side - kept) // 2 + kept)


def _average(values: np.ndarray, factor: int) -> np.ndarray:
    *rest, height, width = values.shape
    blocks = values.reshape(*rest, height // factor, factor, width // factor, factor)
    return np.asarray(blocks.mean(axis=(-3, -1)))
