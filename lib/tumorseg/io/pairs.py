"""A folder of NIfTI images with their masks as cases.

Three layouts are understood, below the root at any depth (``.nii`` or ``.nii.gz``):

- ``<id>.nii.gz`` beside ``<id>_mask.nii.gz`` (also ``_seg``, ``_label``, ``_labels``; any case);
- ``<id>_flair.nii.gz``, ``<id>_t1.nii.gz``, ``<id>_t1ce.nii.gz`` … beside ``<id>_seg.nii.gz`` (BraTS);
- ``images/<id>.nii.gz`` and ``labels/<id>.nii.gz`` (or ``masks/``).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tumorseg.errors import InputError, NotFoundError
from tumorseg.geometry import resample
from tumorseg.io.kaggle_3m import Case
from tumorseg.io.nifti import read_nifti
from tumorseg.types import FLAIR, T1, T1GD, T2, Segmentation, StudyImage

_MASK = re.compile(r"^(?P<key>.*?)[_\-.]?(?:mask|seg|segmentation|labels?)$", re.IGNORECASE)
_MASK_FOLDERS, _IMAGE_FOLDERS = ("labels", "label", "masks", "labelsTr"), ("images", "image", "imagesTr")
_SEQUENCES = {
    "flair": FLAIR,
    "t1": T1,
    "t1ce": T1GD,
    "t1c": T1GD,
    "t1gd": T1GD,
    "t1post": T1GD,
    "t2": T2,
    "t2w": T2,
    "t1w": T1,
}


@dataclass(frozen=True)
class _Files:
    mask: Path
    images: tuple[Path, ...]
    channels: tuple[str, ...]


class NiftiPairs(Sequence[Case]):
    """The image and mask pairs below a folder, read when asked for.

    Args:
        root: the folder.
        patients: take only these, in this order; every one must be there.
    """

    def __init__(self, root: Path | str, patients: Sequence[str] | None = None) -> None:
        self.root = Path(root)
        if not self.root.is_dir():
            raise NotFoundError(f"no folder {self.root}: expected NIfTI images and masks there")
        self._files = _find(self.root)
        if not self._files:
            raise InputError("expected NIfTI pairs such as <id>.nii.gz and <id>_mask.nii.gz")
        missing = sorted(set(patients or ()) - set(self._files))
        if missing:
            raise NotFoundError(f"{len(missing)} patients are not in {self.root}: {', '.join(missing[:5])}")
        self.patients = tuple(patients if patients is not None else sorted(self._files))

    def __len__(self) -> int:
        return len(self.patients)

    def __getitem__(self, index: int) -> Case:  # type: ignore[override]
        name = self.patients[index]
        return _read(name, self._files[name])

    def __iter__(self) -> Iterator[Case]:
        return (self[index] for index in range(len(self)))

    def files(self, patient: str) -> tuple[Path, tuple[Path, ...]]:
        """Return the mask of a patient, and the images."""
        found = self._files[patient]
        return found.mask, found.images


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".nii")


def _find(root: Path) -> dict[str, _Files]:
    folders: dict[Path, dict[str, Path]] = defaultdict(dict)
    for path in sorted(root.rglob("*.nii*")):
        if path.name.endswith((".nii", ".nii.gz")) and path.is_file():
            folders[path.parent][_stem(path)] = path
    found: dict[str, _Files] = {}
    for folder, files in folders.items():
        pairs = _across(files, folders, folder) if folder.name in _MASK_FOLDERS else _beside(files)
        for key, pair in pairs.items():
            place = folder.parent if folder.name in _MASK_FOLDERS else folder
            found["/".join((*place.relative_to(root).parts, key)) or root.name] = pair
    return found


def _across(files: dict[str, Path], folders: dict[Path, dict[str, Path]], folder: Path) -> dict[str, _Files]:
    """Pair ``labels/<id>`` with ``images/<id>``."""
    pairs: dict[str, _Files] = {}
    for name in _IMAGE_FOLDERS:
        images = folders.get(folder.parent / name, {})
        pairs |= {stem: _Files(files[stem], (images[stem],), ("",)) for stem in files if stem in images}
    return pairs


def _beside(files: dict[str, Path]) -> dict[str, _Files]:
    """Pair ``<id>_mask`` with what begins with ``<id>`` in the same folder."""
    masks = {stem: match["key"] for stem in files if (match := _MASK.match(stem))}
    pairs: dict[str, _Files] = {}
    for stem, key in masks.items():
        rest = {
            other: other[len(key) :].strip("_-.") for other in files if other not in masks and other.startswith(key)
        }
        exact = [other for other, tail in rest.items() if not tail]
        named = [other for other, tail in rest.items() if tail.lower() in _SEQUENCES]
        # <id> itself, else its sequences, else the only image whose name begins so.
        chosen = exact or named or (list(rest) if len(rest) == 1 else [])
        if chosen:
            images = tuple(files[other] for other in chosen)
            pairs[key or "case"] = _Files(files[stem], images, tuple(_sequence(rest[other]) for other in chosen))
    return pairs


def _sequence(tail: str) -> str:
    return _SEQUENCES.get(tail.lower(), "")


def _read(name: str, files: _Files) -> Case:
    mask = read_nifti(files.mask)
    if len(mask.channels) != 1:
        raise InputError(f"expected one 3-D mask in {files.mask}, got {len(mask.channels)} volumes")
    channels, names = [], []
    for path, channel in zip(files.images, files.channels, strict=True):
        own = read_nifti(path)
        channels += [resample(volume, own.grid, mask.grid) for volume in own.voxels]
        names += [channel if len(own.channels) == 1 else ""] * len(own.channels)
    source = {"path": str(files.mask.parent), "files": tuple(str(path) for path in files.images)}
    modality = "MR" if any(names) else ""
    image = StudyImage(np.stack(channels), mask.grid, tuple(names), modality=modality, source=source)
    truth = Segmentation((mask.voxels[0] > 0).astype(np.uint8), mask.grid, {"tumour": 1})
    return Case(name, image, truth)
