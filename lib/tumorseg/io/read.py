"""Any path -> one StudyImage. The kind of a file is known by its ending, DICOM by its content."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

import numpy as np

from tumorseg.errors import InputError, NotFoundError
from tumorseg.types import FLAIR, T1, T1GD, T2, StudyImage

#: ending -> "module:function" that reads such a file.
READERS = {
    ".nii": "tumorseg.io.nifti:read_nifti",
    ".nii.gz": "tumorseg.io.nifti:read_nifti",
    ".nrrd": "tumorseg.io.nrrd:read_nrrd",
    ".nhdr": "tumorseg.io.nrrd:read_nrrd",
    ".mha": "tumorseg.io.metaimage:read_metaimage",
    ".png": "tumorseg.io.pictures:read_picture",
    ".jpg": "tumorseg.io.pictures:read_picture",
    ".jpeg": "tumorseg.io.pictures:read_picture",
    ".tif": "tumorseg.io.pictures:read_tiff",
    ".tiff": "tumorseg.io.pictures:read_tiff",
}
_KNOWN = f"{', '.join(READERS)}, or DICOM"


def read_study(
    source: Path | str | Sequence[Path | str],
    *,
    channels: Sequence[str] | None = None,
    reference: str | None = None,
) -> StudyImage:
    """Read a study with its true geometry.

    Args:
        source: a file, a folder (searched to the bottom for DICOM), or a list of either.
        channels: wanted sequences of a study of several series, for example ``("T1", "FLAIR", "T1Gd")``, in the order
            of the result; what is not there is absent. None takes what lies there: the one series, all channels of
            the file, or every recognised sequence. Files that do not name their channels come back whole.
        reference: SeriesInstanceUID whose grid the result has (DICOM only); by default FLAIR's, else the first
            found sequence's. That series is always among the channels.

    Returns:
        The image on the reference's own voxel grid: nothing is reoriented, so a result can be written back voxel for
        voxel. Its notes say what was left out, resampled or chosen.

    Raises:
        NotFoundError: a path or the reference does not exist.
        InputError: the data cannot be used; the message says why and what to do.
    """
    paths = [Path(source)] if isinstance(source, (str, Path)) else [Path(path) for path in source]
    if not paths:
        raise InputError(f"expected a file or a folder, got an empty list; give {_KNOWN}")
    for path in paths:
        if not path.exists():
            raise NotFoundError(f"{path} does not exist; give a file or a folder that does")
    image = _read_paths(paths, channels, reference)
    _require_finite(image, paths[0])
    return image


def reader_of(path: Path) -> Callable[[Path], StudyImage] | None:
    """Return the function that reads a file of this name, None where the name tells nothing."""
    name = path.name.lower()
    for ending in sorted(READERS, key=len, reverse=True):
        if name.endswith(ending):
            module, _, function = READERS[ending].partition(":")
            reader: Callable[[Path], StudyImage] = getattr(import_module(module), function)
            return reader
    return None


def _read_paths(paths: Sequence[Path], channels: Sequence[str] | None, reference: str | None) -> StudyImage:
    files = _volume_files(paths)
    if not files or any(path.is_file() and path not in files for path in paths):
        return _read_dicom(paths, channels, reference)
    if len(paths) == 1 and paths[0].is_dir():
        from tumorseg.dicom.headers import scan

        if scan(paths).series:  # a DICOM folder that someone put a picture or an export into
            return _read_dicom(paths, channels, reference)
    if reference is not None:
        raise InputError(f"a reference is a DICOM SeriesInstanceUID; {files[0].name} has none, leave it out")
    return _read_file(files[0]) if len(files) == 1 else _combine(files, channels)


def _volume_files(paths: Sequence[Path]) -> list[Path]:
    """List the files of known endings among ``paths`` and in given folders; hidden ones are no data."""
    found: list[Path] = []
    for path in paths:
        if path.is_file():
            found += [path] if reader_of(path) else []
            continue
        for folder, folders, names in os.walk(path):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            found += [Path(folder, name) for name in sorted(names) if not name.startswith(".")]
    return [path for path in found if reader_of(path)]


def _read_file(path: Path) -> StudyImage:
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty (0 bytes); copy it again from its source")
    reader = reader_of(path)
    assert reader is not None
    return reader(path)


def _read_dicom(paths: Sequence[Path], channels: Sequence[str] | None, reference: str | None) -> StudyImage:
    from tumorseg.dicom.headers import scan
    from tumorseg.dicom.study import read_dicom

    for path in paths:
        if path.is_file() and path.suffix and not _may_be_dicom(path):
            raise InputError(f"{path} is of no known kind; expected {_KNOWN}")
    found = scan(paths)
    if not found.series:
        what = " ".join(found.notes) or "it is empty."
        raise InputError(f"there is no image in {', '.join(map(str, paths[:3]))}: {what} Expected {_KNOWN}")
    image = read_dicom(found.series, channels=channels, reference=reference)
    return image.with_notes(*found.notes)


def _may_be_dicom(path: Path) -> bool:
    """Whether a file's name or its first bytes claim DICOM; names like ``1.2.840.113`` have a suffix too."""
    from tumorseg.dicom.headers import DICOM_SUFFIXES

    with path.open("rb") as file:
        return path.suffix.lower() in DICOM_SUFFIXES or file.read(132)[128:] == b"DICM" or path.suffix[1:].isdigit()


def _combine(files: Sequence[Path], channels: Sequence[str] | None) -> StudyImage:
    """Read files that hold one sequence each, told apart by their names, into the channels of one image."""
    from tumorseg.dicom.channels import OTHER, classify_words

    kinds = {path: classify_words(path.name.split(".")[0]) for path in files}
    known = {path: kind for path, kind in kinds.items() if kind != OTHER}
    if not known or len(set(known.values())) < len(known):
        listed = ", ".join(f"{path.name} ({kind})" for path, kind in list(kinds.items())[:8])
        raise InputError(f"expected one image, or one file a sequence (t1, t1gd, flair), got {listed}; give one file")
    names = tuple(channels) if channels is not None else (T1, FLAIR, T1GD, T2)
    wanted = [(name, path) for name in names for path, kind in known.items() if kind == name]
    taken = wanted or [(kind, path) for path, kind in known.items()][:1]
    images = [_read_file(path) for _, path in taken]
    for image, (_, path) in zip(images, taken, strict=True):
        if len(image.channels) != 1 or not image.grid.same_as(images[0].grid):
            raise InputError(f"{path} does not lie on the grid of {taken[0][1].name}; bring both onto one grid first")
    left = [path.name for path in files if path not in {path for _, path in taken}]
    return StudyImage(
        voxels=np.concatenate([image.voxels for image in images]),
        grid=images[0].grid,
        channels=tuple(name for name, _ in taken),
        modality=images[0].modality,
        spacing_known=images[0].spacing_known,
        source={"kind": "files", "path": str(taken[0][1].parent), "files": tuple(str(path) for _, path in taken)},
        notes=images[0].notes + ((f"Left out: {', '.join(left)}.",) if left else ()),
    )


def _require_finite(image: StudyImage, path: Path) -> None:
    """Refuse voxels that are no numbers: every network turns one into a whole slice of them."""
    if image.voxels.dtype.kind != "f":
        return
    bad = image.voxels.size - int(np.count_nonzero(np.isfinite(image.voxels)))
    if bad:
        raise InputError(f"{path}: {bad} of {image.voxels.size} voxels are NaN or infinite; repair or mask the image")
