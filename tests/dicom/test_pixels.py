"""Stored pixels in every form that scanners and archives write, against the same voxels written plainly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from tests.dicom.phantoms import GRIDS, sample, write_dicom_series, write_enhanced_mr
from tumorseg.errors import InputError
from tumorseg.io import read_study

GRID = GRIDS["anisotropic"]
SYNTAXES = {
    "implicit": ImplicitVRLittleEndian,
    "explicit": ExplicitVRLittleEndian,
    "big endian": ExplicitVRBigEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
    "RLE": RLELossless,
    "JPEG-LS": JPEGLSLossless,
    "JPEG 2000": JPEG2000Lossless,
    "JPEG lossless": JPEGLossless,
    "JPEG lossless SV1": JPEGLosslessSV1,
}


def voxels(dtype: str) -> np.ndarray[Any, Any]:
    """The phantom with noise in every bit, below zero where the type can."""
    noise = np.random.default_rng(5).integers(0, 90, GRID.shape)
    plain = sample(GRID) + noise
    if dtype == "uint8":
        return (plain // 4).astype(np.uint8)
    return (plain - 500 if dtype == "int16" else plain + 60000).astype(dtype)


@pytest.mark.parametrize("dtype", ["uint16", "int16", "uint8"])
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_transfer_syntaxes(tmp_path: Path, syntax: str, dtype: str) -> None:
    data = voxels(dtype)
    write_dicom_series(tmp_path, GRID, data, TransferSyntaxUID=SYNTAXES[syntax])
    image = read_study(tmp_path)
    assert image.voxels.dtype == data.dtype
    assert np.array_equal(image.voxels[0], data)


@pytest.mark.parametrize("syntax", ["explicit", "RLE", "JPEG-LS", "JPEG 2000", "JPEG lossless SV1"])
def test_multi_frame_syntaxes(tmp_path: Path, syntax: str) -> None:
    data = voxels("int16")
    path = write_enhanced_mr(tmp_path / "e", GRID, data, TransferSyntaxUID=SYNTAXES[syntax])
    assert np.array_equal(read_study(path).voxels[0], data)


@pytest.mark.parametrize("syntax", ["explicit", "JPEG lossless SV1"])
def test_signed_values_of_twelve_bits(tmp_path: Path, syntax: str) -> None:
    """Twelve stored bits of sixteen: the sign is extended, and an overlay in the spare bits is dropped."""
    data = voxels("int16")
    stored = data & 0x0FFF
    if syntax == "explicit":
        stored = stored | np.int16(0x2000)
    attrs = {"BitsStored": 12, "HighBit": 11, "TransferSyntaxUID": SYNTAXES[syntax]}
    write_dicom_series(tmp_path, GRID, stored.astype(np.int16), **attrs)
    assert np.array_equal(read_study(tmp_path).voxels[0], data)


def test_rescale_of_a_series(tmp_path: Path) -> None:
    data = voxels("uint16")
    write_dicom_series(tmp_path, GRID, data, RescaleSlope="0.5", RescaleIntercept="-100")
    image = read_study(tmp_path)
    assert image.voxels.dtype == np.float32
    assert np.array_equal(image.voxels[0], data.astype(np.float32) * 0.5 - 100)


def test_rescale_of_every_frame(tmp_path: Path) -> None:
    data = voxels("uint8")
    slopes, intercepts = np.arange(1, GRID.shape[0] + 1) / 4, np.arange(GRID.shape[0]) - 3
    path = write_enhanced_mr(tmp_path / "e", GRID, data, RescaleSlope=slopes, RescaleIntercept=intercepts)
    expected = data * slopes[:, None, None] + intercepts[:, None, None]
    assert np.allclose(read_study(path).voxels[0], expected)


@pytest.mark.parametrize(("dtype", "ends"), [("uint16", 65535), ("int16", -1), ("uint8", 255)])
def test_monochrome1_is_turned_round(tmp_path: Path, dtype: str, ends: int) -> None:
    data = voxels(dtype)
    write_dicom_series(tmp_path, GRID, data, PhotometricInterpretation="MONOCHROME1")
    assert np.array_equal(read_study(tmp_path).voxels[0], (ends - data.astype(np.int64)).astype(dtype))


def test_a_file_cut_in_its_pixels(tmp_path: Path) -> None:
    path = write_dicom_series(tmp_path, GRID, voxels("uint16"))[3]
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(InputError, match=rf"{path.name} is cut off: expected 3072 bytes of pixels, got 2572"):
        read_study(tmp_path)


@pytest.mark.parametrize("syntax", ["RLE", "JPEG-LS", "JPEG 2000", "JPEG lossless SV1"])
@pytest.mark.parametrize("left", [0.3, 0.9])
def test_a_compressed_file_cut_in_its_pixels(tmp_path: Path, syntax: str, left: float) -> None:
    path = write_enhanced_mr(tmp_path / "e.dcm", GRID, voxels("uint16"), TransferSyntaxUID=SYNTAXES[syntax])
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * left)])
    with pytest.raises(InputError, match=r"e\.dcm"):
        read_study(path)


def test_damaged_compressed_pixels(tmp_path: Path) -> None:
    path = write_dicom_series(tmp_path, GRID, voxels("uint16"), TransferSyntaxUID=JPEG2000Lossless)[0]
    ds = dcmread(path)
    whole = bytearray(ds.PixelData)
    whole[24:60] = b"\0" * 36
    ds.PixelData = bytes(whole)
    ds.save_as(path)
    with pytest.raises(InputError, match="cannot be decoded"):
        read_study(tmp_path)


@pytest.mark.filterwarnings("ignore:Invalid value for VR DS")
@pytest.mark.parametrize("slope", ["0", "nan"])
def test_a_rescale_that_means_nothing(tmp_path: Path, slope: str) -> None:
    path = write_enhanced_mr(tmp_path / "e.dcm", GRID, voxels("uint16"), RescaleSlope=float(slope))
    with pytest.raises(InputError, match=r"rescale|cannot be read"):
        read_study(path)
