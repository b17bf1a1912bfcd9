"""NIfTI, NRRD and MetaImage that somebody sent: honest ones pass, bombs and pointers to other files do not."""

from __future__ import annotations

import gzip
import re
import struct
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import nrrd
import numpy as np
import pytest
import SimpleITK as sitk

from tumorseg.errors import InputError
from tumorseg.io.guard.check import check_file
from tumorseg.io.guard.sizes import OversizeError

MOST = 1 << 20
VOXELS = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)
#: What lies on the server and is nobody's business: voxels of the value 77.
SECRET = np.full((4, 5, 6), 77, np.int16).tobytes()


def _itk(path: Path, compress: bool = False) -> Path:
    sitk.WriteImage(sitk.GetImageFromArray(VOXELS), str(path), useCompression=compress)
    return path


def _nifti(path: Path, kind: type = nib.Nifti1Image) -> Path:
    nib.save(kind(VOXELS, np.eye(4)), path)
    return path


HONEST: dict[str, Callable[[Path], Path]] = {
    "NIfTI-1": lambda folder: _nifti(folder / "a.nii"),
    "NIfTI-1 gzipped": lambda folder: _nifti(folder / "a.nii.gz"),
    "NIfTI-2 gzipped": lambda folder: _nifti(folder / "a.nii.gz", nib.Nifti2Image),
    "NIfTI by ITK": lambda folder: _itk(folder / "a.nii.gz"),
    "NRRD": lambda folder: _itk(folder / "a.nrrd"),
    "NRRD gzipped": lambda folder: _itk(folder / "a.nrrd", True),
    "segmentation NRRD": lambda folder: _itk(folder / "a.seg.nrrd", True),
    "MetaImage": lambda folder: _itk(folder / "a.mha"),
    "MetaImage compressed": lambda folder: _itk(folder / "a.mha", True),
}


@pytest.mark.parametrize("what", HONEST)
def test_honest_files_pass(what: str, tmp_path: Path) -> None:
    assert check_file(HONEST[what](tmp_path), MOST) == VOXELS.nbytes


@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2", "ascii"])
def test_every_encoding_of_nrrd_passes(encoding: str, tmp_path: Path) -> None:
    nrrd.write(str(tmp_path / "a.nrrd"), VOXELS, {"encoding": encoding})
    assert check_file(tmp_path / "a.nrrd", MOST) == VOXELS.nbytes


@pytest.mark.parametrize("what", HONEST)
def test_what_is_larger_than_taken_is_refused_by_its_header(what: str, tmp_path: Path) -> None:
    with pytest.raises(OversizeError, match="this server takes"):
        check_file(HONEST[what](tmp_path), VOXELS.nbytes - 1)


def _gzip_bomb(folder: Path) -> Path:
    path = _nifti(folder / "a.nii")
    (folder / "b.nii.gz").write_bytes(gzip.compress(path.read_bytes() + bytes(64 << 20), 1))
    return folder / "b.nii.gz"


def _two_members(folder: Path) -> Path:
    """A second gzip member behind the first, which readers go on with."""
    path = _nifti(folder / "a.nii.gz")
    path.write_bytes(path.read_bytes() + gzip.compress(bytes(64 << 20), 1))
    return path


def _promise(folder: Path) -> Path:
    path = _nifti(folder / "a.nii")
    data = bytearray(path.read_bytes())
    struct.pack_into("<8h", data, 40, 3, 32767, 32767, 32767, 1, 1, 1, 1)
    path.write_bytes(data)
    return path


def _far_offset(folder: Path) -> Path:
    path = _nifti(folder / "a.nii")
    data = bytearray(path.read_bytes())
    struct.pack_into("<f", data, 108, 3e38)
    (folder / "b.nii.gz").write_bytes(gzip.compress(data))
    return folder / "b.nii.gz"


def _nrrd_bomb(encoding: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        voxels = np.zeros((256, 256, 512), np.uint8)
        nrrd.write(str(folder / "a.nrrd"), voxels, {"encoding": encoding})
        data = (folder / "a.nrrd").read_bytes()
        (folder / "a.nrrd").write_bytes(data.replace(b"sizes: 256 256 512", b"sizes: 4 5 6", 1))
        return folder / "a.nrrd"

    return write


BOMBS: dict[str, Callable[[Path], Path]] = {
    "a gzip stream that goes on": _gzip_bomb,
    "a second gzip member": _two_members,
    "a header that promises 64 TB": _promise,
    "voxels that begin at byte 3e38": _far_offset,
    "gzip in NRRD": _nrrd_bomb("gzip"),
    "bzip2 in NRRD": _nrrd_bomb("bzip2"),
}


@pytest.mark.parametrize("what", BOMBS)
def test_bombs_are_stopped(what: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"more than its header says|this server takes|begin at byte"):
        check_file(BOMBS[what](tmp_path), MOST)


NRRD = "NRRD0004\ntype: int16\ndimension: 3\nsizes: 6 5 4\nendian: little\nencoding: raw\n{}\n\n"
META = "ObjectType = Image\nNDims = 3\nDimSize = 6 5 4\nElementType = MET_SHORT\n{}\n"
#: name of the upload, content; each shows the secret to the reader that is given it.
POINTERS = {
    "data file": ("a.nrrd", NRRD.format("data file: secret.raw")),
    "datafile": ("a.nrrd", NRRD.format("datafile: secret.raw")),
    "Data File": ("a.nrrd", NRRD.format("Data File: secret.raw")),
    "an absolute data file": ("a.nrrd", NRRD.format("data file: {secret}")),
    "a list of data files": ("a.nrrd", NRRD.format("data file: LIST\nsecret.raw")),
    "a pattern of data files": ("a.nrrd", NRRD.format("data file: secret.%03d 1 1 1")),
    "a detached header": ("a.nhdr", NRRD.format("data file: secret.raw")),
    "ElementDataFile": ("a.mha", META.format("ElementDataFile = secret.raw")),
    "an absolute ElementDataFile": ("a.mha", META.format("ElementDataFile = {secret}")),
    "a colon for the equals sign": ("a.mha", META.format("ElementDataFile : {secret}") + "ElementDataFile = LOCAL\n"),
    "LOCAL in a comment": ("a.mha", META.format("Comment = ElementDataFile = LOCAL\nElementDataFile = {secret}")),
    "an mhd header": ("a.mhd", META.format("ElementDataFile = {secret}")),
}


@pytest.mark.parametrize("what", POINTERS)
def test_files_that_point_at_another_file_are_refused(what: str, tmp_path: Path) -> None:
    name, text = POINTERS[what]
    secret = tmp_path / "secret.raw"
    secret.write_bytes(SECRET)
    path = tmp_path / name
    path.write_text(text.replace("{secret}", str(secret)))
    with pytest.raises(InputError, match=r"another file|LOCAL|differently"):
        check_file(path, MOST)


@pytest.mark.parametrize(
    "what", ["an absolute data file", "an absolute ElementDataFile", "a colon for the equals sign"]
)
def test_the_pointers_are_real(what: str, tmp_path: Path) -> None:
    """ITK, which reads labels, shows the secret: were this ever untrue, the test above would prove nothing."""
    name, text = POINTERS[what]
    (tmp_path / "secret.raw").write_bytes(SECRET)
    path = tmp_path / name
    path.write_text(text.replace("{secret}", str(tmp_path / "secret.raw")))
    assert int(sitk.GetArrayFromImage(sitk.ReadImage(str(path))).max()) == 77


def test_a_pair_of_nifti_files_is_refused(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Pair(VOXELS, np.eye(4)), tmp_path / "a.img")
    (tmp_path / "b.nii").write_bytes((tmp_path / "a.hdr").read_bytes().ljust(1000, b"\0"))
    for name in ("a.hdr", "a.img", "b.nii"):
        with pytest.raises(InputError, match="another file"):
            check_file(tmp_path / name, MOST)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("a.nrrd", lambda data: data.replace(b"type: ", b" \ntype: ", 1)),
        ("a.nrrd", lambda data: data.replace(b"\ntype: ", b"\rdata file: x\ntype: ", 1)),
        ("a.nrrd", lambda data: data.replace(b"\ntype: ", b"\ntype: int16\ntype: ", 1)),
        ("a.nrrd", lambda data: data.replace(b"\ntype: ", b"\nbyte skip: 99\ntype: ", 1)),
        ("a.nrrd", lambda data: data.replace(b"short", b"block", 1)),
        ("a.nrrd", lambda data: re.sub(rb"sizes: [0-9 ]+", b"sizes: -1 5 6", data)),
        ("a.nrrd", lambda data: re.sub(rb"sizes: [0-9 ]+", b"sizes: 1e3 5 6", data)),
        (
            "a.mha",
            lambda data: data.replace(b"CompressedData = ", b"CompressedDataSize = 99999999999\nCompressedData = ", 1),
        ),
        ("a.mha", lambda data: data.replace(b"NDims = 3", b"NDims = 3\nHeaderSize = 9", 1)),
        ("a.mha", lambda data: data.replace(b"NDims = 3", b"NDims : 3", 1)),
        ("a.nii", lambda data: b"NRRD0004\n" + data),
        ("a.nii", lambda data: data[:100]),
        ("a.nii", lambda data: data[:70] + struct.pack("<h", 9999) + data[72:]),
    ],
)
def test_headers_that_programs_read_differently_are_refused(
    name: str, change: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    path = _nifti(tmp_path / name) if name.endswith(".nii") else _itk(tmp_path / name)
    data = path.read_bytes()
    path.write_bytes(change(data))
    assert path.read_bytes() != data
    with pytest.raises(InputError):
        check_file(path, MOST)
