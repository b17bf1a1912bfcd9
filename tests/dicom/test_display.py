"""Every coding of an ultrasound picture comes out as the pixels that were on the screen."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from tests.dicom.ultrasound import grey, jpeg, rgb, write_still
from tumorseg.dicom.display import displayed_pixels
from tumorseg.errors import InputError
from tumorseg.io import read_study

LOSSLESS = [ExplicitVRLittleEndian, RLELossless, JPEGLSLossless, JPEG2000Lossless, JPEGLosslessSV1]
#: Levels by which integer arithmetic of YBR differs from RGB, there and back.
ROUNDING = 2


def shown(path: Path) -> np.ndarray[Any, Any]:
    return displayed_pixels(path, dcmread(path))


def apart(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> int:
    """The largest difference of two pictures."""
    assert one.shape == other.shape
    assert one.dtype == other.dtype == np.uint8
    return int(np.abs(one.astype(int) - other.astype(int)).max())


@pytest.mark.parametrize("syntax", LOSSLESS)
@pytest.mark.parametrize("pixels", [grey(), rgb()], ids=["grey", "rgb"])
def test_lossless_pictures_are_exact(tmp_path: Path, syntax: str, pixels: np.ndarray[Any, Any]) -> None:
    photometric = "YBR_RCT" if syntax == JPEG2000Lossless and pixels.ndim == 3 else None
    path = write_still(tmp_path / "a.dcm", pixels, photometric, syntax)
    assert np.array_equal(shown(path), pixels)


def test_colours_by_plane_are_exact(tmp_path: Path) -> None:
    assert np.array_equal(shown(write_still(tmp_path / "a.dcm", rgb(), PlanarConfiguration=1)), rgb())


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless, JPEGLosslessSV1])
def test_ybr_becomes_rgb(tmp_path: Path, syntax: str) -> None:
    assert apart(shown(write_still(tmp_path / "a.dcm", rgb(), "YBR_FULL", syntax)), rgb()) <= ROUNDING


def test_ybr_of_half_the_columns_becomes_rgb(tmp_path: Path) -> None:
    pixels = np.repeat(rgb()[:, ::2], 2, axis=1)  # two columns share a colour
    assert apart(shown(write_still(tmp_path / "a.dcm", pixels, "YBR_FULL_422")), pixels) <= ROUNDING


@pytest.mark.parametrize("photometric", ["YBR_FULL_422", "RGB", "MONOCHROME2"])
def test_jpeg_is_what_any_viewer_of_jpeg_shows(tmp_path: Path, photometric: str) -> None:
    pixels = grey() if photometric == "MONOCHROME2" else rgb()
    expected = np.array(Image.open(io.BytesIO(jpeg(pixels, photometric))))
    path = write_still(tmp_path / "a.dcm", pixels, photometric, JPEGBaseline8Bit)
    assert apart(shown(path), expected) <= ROUNDING
    assert np.abs(shown(path).astype(int) - pixels).mean() < 4


@pytest.mark.parametrize("bits", [8, 16])
def test_a_palette_is_applied(tmp_path: Path, bits: int) -> None:
    table = np.random.default_rng(1).integers(0, 256, (256, 3))
    full = table * 257 if bits == 16 else table
    attrs: dict[str, Any] = {}
    for column, name in enumerate(("Red", "Green", "Blue")):
        attrs[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, bits]
        attrs[f"{name}PaletteColorLookupTableData"] = full[:, column].astype(f"<u{bits // 8}").tobytes()
    path = write_still(tmp_path / "a.dcm", grey(), "PALETTE COLOR", **attrs)
    assert np.array_equal(shown(path), table[grey()])


def test_a_palette_of_eight_bits_in_sixteen(tmp_path: Path) -> None:
    """Descriptor and data say sixteen bits, the entries have eight: not a black picture."""
    attrs: dict[str, Any] = {}
    for name in ("Red", "Green", "Blue"):
        attrs[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        attrs[f"{name}PaletteColorLookupTableData"] = np.arange(256, dtype="<u2").tobytes()
    path = write_still(tmp_path / "a.dcm", grey(), "PALETTE COLOR", **attrs)
    assert np.array_equal(shown(path), np.repeat(grey()[..., None], 3, axis=2))


def test_monochrome1_is_turned_round(tmp_path: Path) -> None:
    assert np.array_equal(shown(write_still(tmp_path / "a.dcm", grey(), "MONOCHROME1")), 255 - grey())


def test_the_window_of_the_file_is_applied(tmp_path: Path) -> None:
    """Centre 100.5 and width 101 show 50 as black and 150 as white."""
    path = write_still(tmp_path / "a.dcm", grey(), WindowCenter="100.5", WindowWidth="101")
    expected = np.clip((grey() - 50.0) / 100 * 255, 0, 255)
    assert np.abs(shown(path) - expected).max() <= 0.5
    whole = write_still(tmp_path / "b.dcm", grey(), WindowCenter=["128", "40"], WindowWidth=["256", "80"])
    assert np.array_equal(shown(whole), grey())


def test_sixteen_bits_are_stretched_to_eight(tmp_path: Path) -> None:
    path = write_still(tmp_path / "a.dcm", grey().astype(np.uint16) * 40 + 1000)
    assert np.array_equal(shown(path), grey())


def test_a_table_of_grey_values_is_applied(tmp_path: Path) -> None:
    from pydicom.dataset import Dataset

    item = Dataset()
    item.LUTDescriptor, item.LUTData = [256, 0, 16], (np.arange(256)[::-1] * 257).astype("<u2").tobytes()
    item["LUTData"].VR = "OW"
    path = write_still(tmp_path / "a.dcm", grey(), VOILUTSequence=[item])
    assert np.array_equal(shown(path), 255 - grey())


@pytest.mark.filterwarnings("ignore:End of file reached before delimiter")
@pytest.mark.parametrize("syntax", [*LOSSLESS, JPEGBaseline8Bit])
@pytest.mark.parametrize("left", [0.4, 0.9])
def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, syntax: str, left: float) -> None:
    path = write_still(tmp_path / "cut.dcm", rgb(120, 160), None, syntax)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * left)])
    with pytest.raises(InputError, match=r"cut\.dcm"):
        read_study(path)


def test_pixels_that_are_no_jpeg_are_refused(tmp_path: Path) -> None:
    path = write_still(tmp_path / "bad.dcm", rgb(), "YBR_FULL_422", JPEGBaseline8Bit)
    ds = dcmread(path)
    ds.PixelData = ds.PixelData[:16] + b"\x5a" * (len(ds.PixelData) - 16)
    ds.save_as(path)
    with pytest.raises(InputError, match=r"bad\.dcm"):
        read_study(path)


def test_an_unknown_colour_space_is_named(tmp_path: Path) -> None:
    path = write_still(tmp_path / "odd.dcm", rgb(), PhotometricInterpretation="CMYK")
    with pytest.raises(InputError, match=r"odd\.dcm.*CMYK"):
        read_study(path)
