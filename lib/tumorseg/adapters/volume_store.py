"""Labelled volumes as a data store that the server serves.

``kaggle_3m``: a patient becomes one NIfTI of three bytes a voxel (T1, FLAIR, post-contrast T1), which viewers show in
colour. ``nifti_pairs``: files stay as they are; where a case has several, they are served as the channels of one file
and kept beside it. :mod:`tumorseg.adapters.volume_export` is the way back.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorseg.adapters.files import write_json
from tumorseg.adapters.picture_store import FILE, LAYOUT, ORIGINALS, TAG, Progress
from tumorseg.adapters.sources import LABELS_FOLDER, suffix_of
from tumorseg.adapters.staging import check_new_folder, staged
from tumorseg.adapters.transfer import Transfer
from tumorseg.annotations import Problem
from tumorseg.errors import InputError
from tumorseg.geometry import flip_ras_lps
from tumorseg.io.datasets import open_dataset
from tumorseg.io.files import write_atomically
from tumorseg.io.kaggle_3m import Case, Kaggle3m
from tumorseg.io.pairs import NiftiPairs
from tumorseg.io.write import write_segmentation

if TYPE_CHECKING:
    from tumorseg.types import StudyImage

#: What is needed to write a case back, and its label.
_Written = tuple[dict[str, Any], Path | None]
_RGB = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])


def import_volumes(
    format: str,
    source: Path,
    target: Path,
    *,
    skip_bad: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Transfer:
    """Make a data store of labelled volumes; ``format`` is a name in registry.DATASETS.

    Raises:
        InputError: a case cannot be used (it names the file), or there is none; nothing is written.
    """
    check_new_folder(target)
    cases = open_dataset(source, layout=format)
    if not isinstance(cases, (Kaggle3m, NiftiPairs)):
        raise InputError(f"{format} cannot be imported; expected kaggle_3m or nifti_pairs")
    entries: list[dict[str, Any]] = []
    left_out: list[Problem] = []
    if dry_run:
        for done, name in enumerate(cases.patients, start=1):
            entries += _usable(cases, name, skip_bad, left_out)
            _tell(progress, done, len(cases.patients))
    else:
        with staged(target) as folder:
            for done, name in enumerate(cases.patients, start=1):
                entries += [_write(cases, case, folder) for case in _usable(cases, name, skip_bad, left_out)]
                _tell(progress, done, len(cases.patients))
            if not entries:
                raise InputError(f"{source} holds no case that could be imported; the first: {left_out[0]}")
            value = {"tumorseg": LAYOUT, "volumes": entries}
            (folder / FILE).write_text(json.dumps(value, indent=1), encoding="utf-8")
    labelled = len(entries) if dry_run else sum(entry["label_sha256"] is not None for entry in entries)
    return Transfer(target, len(entries), labelled, {}, tuple(left_out), written=not dry_run)


def _tell(progress: Progress | None, done: int, total: int) -> None:
    if progress is not None:
        progress(done, total)


def _usable(cases: Any, name: str, skip_bad: bool, left_out: list[Problem]) -> list[Any]:
    """Return the case in a list, or an empty one where it cannot be read and that is to be noted only."""
    try:
        return [cases[cases.patients.index(name)]]
    except InputError as error:
        if not skip_bad:
            raise
        left_out.append(Problem(cases.root / name, "unreadable_volume", str(error), hard=True))
        return []


def _write(cases: Kaggle3m | NiftiPairs, case: Case, folder: Path) -> dict[str, Any]:
    """Write one case and return what is needed to write it back."""
    name = case.id.replace("/", "__")
    labels = folder / LABELS_FOLDER / TAG
    labels.mkdir(parents=True, exist_ok=True)
    if isinstance(cases, NiftiPairs):
        entry, label = _write_pair(cases, case, name, folder, labels)
    else:
        entry, label = _write_slices(cases, case, name, folder, labels)
    digest = hashlib.sha256(label.read_bytes()).hexdigest() if label is not None else None
    return {"id": case.id, "image": name, **entry, "label_sha256": digest}


def _write_slices(cases: Kaggle3m, case: Case, name: str, folder: Path, labels: Path) -> _Written:
    numbers = [int(number) for number in case.image.source["slice_numbers"]]
    write_atomically(folder / f"{name}.nii.gz", _colour_nifti(case.image))
    files = [cases.root / case.id / f"{case.id}_{number}_mask.tif" for number in numbers]
    entry = {"file": f"{name}.nii.gz", "slices": numbers, "masks": [file.is_file() for file in files]}
    if case.truth is None:
        return entry, None
    label = write_segmentation(labels / f"{name}.nii.gz", case.truth, case.image)
    _write_names(labels, name, case.truth.labels)
    return entry, label


def _write_pair(cases: NiftiPairs, case: Case, name: str, folder: Path, labels: Path) -> _Written:
    mask, images = cases.files(case.id)
    root = cases.root
    entry: dict[str, Any] = {"mask": mask.relative_to(root).as_posix(), "images": []}
    for image in images:
        kept = f"{name}{suffix_of(image)}" if len(images) == 1 else f"{ORIGINALS}/{name}/{image.name}"
        (folder / kept).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(image, folder / kept)
        entry["images"].append({"file": kept, "place": image.relative_to(root).as_posix()})
    if len(images) > 1:
        write_atomically(folder / f"{name}.nii.gz", _channels_nifti(case.image))
    label = labels / f"{name}{suffix_of(mask)}"
    shutil.copyfile(mask, label)
    _write_names(labels, name, _names(label))
    return entry, label


def _names(label: Path) -> dict[str, int]:
    """Return names for the values of a mask, which NIfTI does not name."""
    from tumorseg.io import read_study

    values = [int(value) for value in np.unique(read_study(label).voxels) if value > 0]
    return {"tumour": values[0]} if len(values) == 1 else {f"label {value}": value for value in values}


def _write_names(labels: Path, name: str, values: Any) -> None:
    info = [{"name": label, "idx": value} for label, value in values.items()]
    write_json(labels / f"{name}.info.json", {"label_info": info})


def _colour_nifti(image: StudyImage) -> bytes:
    """Return three uint8 channels as the colours of one NIfTI."""
    if len(image.channels) != 3 or image.voxels.dtype != np.uint8:
        raise InputError(f"expected three channels of uint8, got {len(image.channels)} of {image.voxels.dtype}")
    interleaved = np.ascontiguousarray(np.moveaxis(image.voxels, 0, -1)).view(_RGB)[..., 0]
    return _nifti(interleaved.T, image)


def _channels_nifti(image: StudyImage) -> bytes:
    """Return the channels as the fourth axis of one NIfTI."""
    return _nifti(image.voxels.transpose(3, 2, 1, 0), image)


def _nifti(data: Any, image: StudyImage) -> bytes:
    import nibabel as nib
    from isal import igzip

    affine = flip_ras_lps(image.grid.affine)
    nifti = nib.Nifti1Image(data, affine)
    nifti.set_sform(affine, code="scanner")
    nifti.set_qform(affine, code="scanner", strip_shears=True)
    nifti.header.set_xyzt_units("mm" if image.spacing_known else "unknown")
    packed: bytes = igzip.compress(nifti.to_bytes(), compresslevel=1, mtime=0)
    return packed


def volume_entries(value: dict[str, Any], file: Path) -> Sequence[dict[str, Any]]:
    """Return the volumes of a store's annotations.

    Raises:
        InputError: it is a store of pictures, or of another version.
    """
    if value.get("tumorseg") != LAYOUT or not isinstance(value.get("volumes"), list):
        raise InputError(f"{file} does not describe volumes; export it as via, voc, coco or mask_folders")
    entries: list[dict[str, Any]] = value["volumes"]
    return entries
