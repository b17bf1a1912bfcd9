"""DICOM that somebody sent: whatever way it is packed, its size is known before it is unpacked."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from tests.dicom.phantoms import GRIDS, sample, write_dicom_series
from tumorseg.dicom.headers import scan
from tumorseg.dicom.pixels import read_voxels
from tumorseg.errors import InputError
from tumorseg.io.guard.check import check_file
from tumorseg.io.guard.codestream import announced_size
from tumorseg.io.guard.sizes import OversizeError

MOST = 1 << 20
AXIAL = GRIDS["axial"]


def _one(folder: Path, syntax: str = ExplicitVRLittleEndian) -> Path:
    return write_dicom_series(folder, AXIAL, sample(AXIAL)[:1], TransferSyntaxUID=syntax)[0]


@pytest.mark.parametrize(
    "syntax",
    [
        ExplicitVRLittleEndian,
        DeflatedExplicitVRLittleEndian,
        RLELossless,
        JPEG2000Lossless,
        JPEGLosslessSV1,
        JPEGLSLossless,
    ],
)
def test_honest_files_pass_in_every_transfer_syntax(syntax: str, tmp_path: Path) -> None:
    assert check_file(_one(tmp_path, syntax), MOST) == sample(AXIAL)[0].nbytes


def test_a_data_set_that_is_no_image_passes(tmp_path: Path) -> None:
    data = pydicom.dcmread(_one(tmp_path))
    for keyword in ("PixelData", "Rows", "Columns"):
        delattr(data, keyword)
    data.save_as(tmp_path / "report.dcm")
    assert check_file(tmp_path / "report.dcm", MOST) == 0


@pytest.mark.parametrize("changes", [{"Rows": 65535, "Columns": 65535}, {"NumberOfFrames": 2**31 - 1}])
def test_a_header_that_promises_too_much_is_refused(changes: dict[str, Any], tmp_path: Path) -> None:
    path = _one(tmp_path)
    data = pydicom.dcmread(path)
    for keyword, value in changes.items():
        setattr(data, keyword, value)
    data.save_as(path)
    with pytest.raises(OversizeError):
        check_file(path, MOST)


def test_more_frames_than_a_file_can_hold_are_refused(tmp_path: Path) -> None:
    """A frame is an object in memory long before it is a pixel."""
    path = _one(tmp_path)
    data = pydicom.dcmread(path)
    data.Rows = data.Columns = 1
    data.BitsAllocated, data.NumberOfFrames = 8, 200_000
    data.save_as(path)
    with pytest.raises(InputError, match="200000 frames"):
        check_file(path, MOST)


def test_a_deflated_bomb_is_stopped(tmp_path: Path) -> None:
    path = _one(tmp_path)
    raw, data = path.read_bytes(), pydicom.dcmread(path)
    packer = zlib.compressobj(wbits=-15)
    packed = packer.compress(raw[raw.index(struct.pack("<HH", 8, 8)) :] + bytes(64 << 20)) + packer.flush()
    data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    buffer = io.BytesIO()
    pydicom.filewriter.write_file_meta_info(buffer, data.file_meta)
    path.write_bytes(bytes(128) + b"DICM" + buffer.getvalue() + packed)
    with pytest.raises(OversizeError, match="more than its header says"):
        check_file(path, MOST)


CODECS: dict[str, Any] = {
    JPEGBaseline8Bit: imagecodecs.jpeg8_encode,
    JPEGLosslessSV1: imagecodecs.ljpeg_encode,
    JPEGLSLossless: imagecodecs.jpegls_encode,
    JPEG2000Lossless: lambda pixels: imagecodecs.jpeg2k_encode(pixels, codecformat="j2k", reversible=True),
    "1.2.840.10008.1.2.4.110": lambda pixels: imagecodecs.jpegxl_encode(pixels, lossless=True, usecontainer=False),
}


@pytest.mark.parametrize("syntax", CODECS)
@pytest.mark.parametrize("shape", [(8, 8), (64, 256), (600, 801), (300, 2000), (17, 4099)])
def test_the_size_that_a_compressed_frame_announces(syntax: str, shape: tuple[int, int]) -> None:
    encoded = CODECS[syntax](np.zeros(shape, np.uint8))
    assert announced_size(bytes(encoded)) == (shape[1], shape[0])


@pytest.mark.parametrize("syntax", [syntax for syntax in CODECS if pydicom.uid.UID(syntax).is_transfer_syntax])
def test_a_frame_larger_than_its_header_says_is_refused(syntax: str, tmp_path: Path) -> None:
    """Decoders believe the frame: 65000 x 65000 in a file that says 40 x 36 would fill the memory."""
    path = _one(tmp_path)
    data = pydicom.dcmread(path)
    data.file_meta.TransferSyntaxUID = syntax
    data.PixelData = encapsulate([bytes(CODECS[syntax](np.zeros((3000, 3000), np.uint8)))])
    data["PixelData"].VR, data["PixelData"].is_undefined_length = "OB", True
    data.save_as(path)
    with pytest.raises(InputError, match="as its header says"):
        check_file(path, MOST)


def test_runs_without_end_are_cut(tmp_path: Path) -> None:
    path = _one(tmp_path, RLELossless)
    data = pydicom.dcmread(path)
    frame = struct.pack("<16I", 1, 64, *[0] * 14) + b"\x81\x00" * (1 << 20)  # 128 MB of zeros
    data.PixelData = encapsulate([frame])
    data.save_as(path)
    (series,) = scan([path]).series
    with pytest.raises(InputError, match="cannot be decoded"):
        read_voxels(series.frames)


@pytest.mark.parametrize(
    "data", [b"", b"a text file", b"\0" * 128 + b"DICM", b"\0" * 128 + b"DICM" + b"\xff" * 90, b"\x08\0\0\0\xff"]
)
def test_what_is_no_dicom_is_refused_or_has_no_pixels(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(data)
    try:
        assert check_file(tmp_path / "a.dcm", MOST) == 0
    except InputError as error:
        assert "DICOM" in str(error)  # noqa: PT017 - either is right
