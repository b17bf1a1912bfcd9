"""Labelled volumes of a data store written back as the data set that they came from, or as the other kind."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorseg.adapters.picture_store import FILE, TAG, Progress, labels_of
from tumorseg.adapters.sources import FileSource, suffix_of
from tumorseg.adapters.staging import check_new_folder, staged
from tumorseg.adapters.transfer import Transfer
from tumorseg.adapters.volume_store import volume_entries
from tumorseg.annotations import Problem
from tumorseg.annotations.json_file import as_object, load_json
from tumorseg.annotations.place import inside
from tumorseg.errors import InputError, NotFoundError
from tumorseg.geometry import resample
from tumorseg.io import read_study
from tumorseg.io.write import write_segmentation
from tumorseg.types import Segmentation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tumorseg.types import StudyImage


def holds_volumes(source: Path) -> bool:
    """Whether a folder is a data store of volumes."""
    return (source / FILE).is_file() and "volumes" in as_object(load_json(source / FILE), source / FILE, "a data store")


def export_volumes(format: str, source: Path, target: Path, progress: Progress | None = None) -> Transfer:
    """Write the volumes of a data store as ``kaggle_3m`` or ``nifti_pairs``.

    Raises:
        InputError: ``source`` is no data store of volumes, or a volume does not fit the format.
    """
    check_new_folder(target)
    value = as_object(load_json(source / FILE), source / FILE, "a data store")
    entries = volume_entries(value, source / FILE)
    writers = {"kaggle_3m": _write_slices, "nifti_pairs": _write_pair}
    if format not in writers:
        raise InputError(f"{source} holds volumes; they can be exported as {' or '.join(writers)}, not as {format}")
    write = writers[format]
    notes: list[Problem] = []
    labelled = 0
    with staged(target) as folder:
        for done, entry in enumerate(entries, start=1):
            label = _label(source, entry, notes)
            write(source, entry, label, folder)
            labelled += label is not None
            if progress is not None:
                progress(done, len(entries))
    return Transfer(target, len(entries), labelled, notes=tuple(notes))


def _label(source: Path, entry: Mapping[str, Any], notes: list[Problem]) -> Path | None:
    """Return the final label of a volume, and note where it is not what was imported."""
    image = FileSource(source).local_file(entry["image"])
    try:
        path = labels_of(source).path(entry["image"], TAG)
    except NotFoundError:
        if entry["label_sha256"] is not None:
            notes.append(Problem(image, "label_removed", "its label was deleted since the import; it is not labelled"))
        return None
    if hashlib.sha256(path.read_bytes()).hexdigest() != entry["label_sha256"]:
        notes.append(Problem(image, "label_changed", f"its label was changed since the import; {path.name} is written"))
    return path


def _write_pair(source: Path, entry: Mapping[str, Any], label: Path | None, folder: Path) -> None:
    """Write images and mask of a case; files that were imported as NIfTI go back byte for byte to where they lay."""
    image = FileSource(source).local_file(entry["image"])
    images = entry.get("images") or [{"file": image.name, "place": image.name}]
    for item in images:
        shutil.copyfile(source / item["file"], inside(folder, item["place"]))
    if label is None:
        return
    place = inside(folder, entry.get("mask") or f"{entry['image']}_mask.nii.gz")
    if suffix_of(label) == suffix_of(place):
        shutil.copyfile(label, place)
        return
    shown = read_study(label)
    voxels = np.rint(shown.voxels.max(axis=0)).astype(np.uint8)
    write_segmentation(place, Segmentation(voxels, shown.grid, {"tumour": 1}), shown)


def _write_slices(source: Path, entry: Mapping[str, Any], label: Path | None, folder: Path) -> None:
    """Write the slices of a patient; a slice has a mask where it had one, or has something in it now."""
    import tifffile

    image = read_study(FileSource(source).local_file(entry["image"]))
    if len(image.channels) != 3 or image.voxels.dtype != np.uint8:
        got = f"{len(image.channels)} of {image.voxels.dtype}"
        raise InputError(f"{entry['id']}: kaggle_3m wants three channels of uint8, got {got}; export as nifti_pairs")
    masks = _mask(label, image)
    count = image.grid.shape[0]
    numbers, had = entry.get("slices") or range(1, count + 1), entry.get("masks") or [label is not None] * count
    name = entry["image"]
    for k, (number, with_mask) in enumerate(zip(numbers, had, strict=True)):
        place = inside(folder, f"{name}/{name}_{number}.tif")
        tifffile.imwrite(place, np.ascontiguousarray(np.moveaxis(image.voxels[:, k], 0, -1)), photometric="rgb")
        if with_mask or masks[k].any():
            mask = masks[k].astype(np.uint8) * 255
            tifffile.imwrite(place.with_name(f"{name}_{number}_mask.tif"), mask, photometric="minisblack")


def _mask(label: Path | None, image: StudyImage) -> NDArray[np.bool_]:
    """Return ``(K, J, I)`` bool on the image's grid; empty where there is no label."""
    if label is None:
        return np.zeros(image.grid.shape, bool)
    found = read_study(label)
    mask: NDArray[np.bool_] = resample(found.voxels.max(axis=0), found.grid, image.grid, linear=False) > 0
    return mask
