"""A segmentation into a file, of the kind that the file's name says."""

from __future__ import annotations

from pathlib import Path

from tumorseg.errors import InputError
from tumorseg.geometry import flip_ras_lps
from tumorseg.io.files import check_target, write_atomically
from tumorseg.io.nrrd_write import GZIP_LEVEL, label_voxels, nrrd_bytes, seg_nrrd_bytes
from tumorseg.types import Segmentation, StudyImage

__all__ = ["FORMATS", "check_output", "nifti_bytes", "nrrd_bytes", "write_segmentation"]

#: Endings in the order in which they are tried (the longer before the shorter), and what they are.
FORMATS: dict[str, str] = {
    ".nii.gz": "NIfTI, compressed",
    ".nii": "NIfTI",
    ".seg.nrrd": "3D Slicer segmentation with names and colours",
    ".nrrd": "NRRD, compressed",
    ".png": "a sheet of slices with the tumour drawn in, to look at",
}


def check_output(path: str | Path) -> str:
    """Return the ending (a key of FORMATS) that ``path`` will be written as.

    Raises:
        InputError: unknown ending, or a place that cannot be written.
    """
    path = Path(path)
    ending = next((ending for ending in FORMATS if path.name.lower().endswith(ending)), None)
    if ending is None:
        known = ", ".join(f"{ending} ({what})" for ending, what in FORMATS.items())
        raise InputError(f"cannot tell from its name what {path.name!r} should be; the ending may be {known}")
    check_target(path)
    return ending


def write_segmentation(
    path: str | Path, segmentation: Segmentation, image: StudyImage | None = None, *, caption: str = ""
) -> Path:
    """Write ``segmentation`` to ``path``, whole or not at all.

    Args:
        path: its ending says the format, see FORMATS.
        segmentation: the label map; voxel order and geometry are kept exactly.
        image: what was segmented; a ``.png`` needs it. Says too whether millimetres are real.
        caption: a line for the ``.png`` (model and version).

    Raises:
        InputError: unknown ending, no such folder, or a picture asked for without the image.
    """
    ending = check_output(path)
    return write_atomically(path, _encode(ending, segmentation, image, caption))


def nifti_bytes(segmentation: Segmentation, *, compress: bool, spacing_known: bool = True) -> bytes:
    """Return ``segmentation`` as a NIfTI-1 file with sform and qform, its axes in the order they lie in memory."""
    import nibabel as nib

    affine = flip_ras_lps(segmentation.grid.affine)
    # NIfTI has i fastest in memory, as we do: the transposed view is its (I, J, K) without a copy.
    nifti = nib.Nifti1Image(label_voxels(segmentation).T, affine)
    nifti.set_sform(affine, code="scanner")
    # A quaternion holds no shear (gantry tilt): the qform is then the nearest rotation, and the sform is right.
    nifti.set_qform(affine, code="scanner", strip_shears=True)
    nifti.header.set_xyzt_units("mm" if spacing_known else "unknown")
    data: bytes = nifti.to_bytes()
    if not compress:
        return data
    from isal import igzip

    packed: bytes = igzip.compress(data, compresslevel=GZIP_LEVEL, mtime=0)
    return packed


def _encode(ending: str, segmentation: Segmentation, image: StudyImage | None, caption: str) -> bytes:
    if ending == ".nrrd":
        return nrrd_bytes(segmentation, compress=True)
    if ending == ".seg.nrrd":
        return seg_nrrd_bytes(segmentation)
    if ending == ".png":
        if image is None:
            raise InputError("a .png shows the tumour on the image: the image is needed; or write .nii.gz or .nrrd")
        from tumorseg.io.overlay import overlay_sheet

        return overlay_sheet(segmentation, image, caption=caption)
    known = image is None or image.spacing_known
    return nifti_bytes(segmentation, compress=ending == ".nii.gz", spacing_known=known)
