"""One door for everything that was uploaded: no reader of images is shown a file that did not pass it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tumorseg.io.guard.dicom import check_dicom
from tumorseg.io.guard.pictures import check_picture, check_tiff
from tumorseg.io.guard.sizes import refused
from tumorseg.io.guard.volumes import check_metaimage, check_nifti, check_nrrd

#: ending -> what looks at such a file; everything else is looked at as DICOM.
_CHECKS: dict[str, Callable[[Path, int], int]] = {
    ".nii": check_nifti,
    ".nii.gz": check_nifti,
    ".nrrd": check_nrrd,
    ".mha": check_metaimage,
    ".png": check_picture,
    ".jpg": check_picture,
    ".jpeg": check_picture,
    ".tif": check_tiff,
    ".tiff": check_tiff,
}
#: Headers whose voxels always lie in another file, and lists of files.
_OTHERS = (".nhdr", ".mhd", ".hdr", ".img", ".vti", ".xml")


def check_file(path: Path, most: int) -> int:
    """Look at an uploaded file, whose name ends in small letters, and return the bytes of its voxels unpacked.

    Args:
        path: the file.
        most: bytes of voxels that are taken.

    Raises:
        InputError: it is not what its name says, names other files, or is damaged.
        OversizeError: it would unpack to more than ``most``.
    """
    if path.name.endswith(_OTHERS):
        raise refused(path, "keeps its voxels in another file; send one file that holds them (NRRD, NIfTI or .mha)")
    for ending in sorted(_CHECKS, key=len, reverse=True):
        if path.name.endswith(ending):
            return _CHECKS[ending](path, most)
    with path.open("rb") as file:
        return check_dicom(file, path, most)
