"""Ultrasound stills are read as pictures, one at a time; what is no single still is refused with what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

from tests.dicom.phantoms import GRIDS, sample, write_dicom_series
from tests.dicom.ultrasound import (
    SecondaryCaptureImageStorage,
    UltrasoundMultiFrameImageStorage,
    grey,
    region,
    rgb,
    write_still,
)
from tumorseg.dicom.headers import read_headers
from tumorseg.dicom.study import read_dicom, read_displayed
from tumorseg.errors import InputError
from tumorseg.io import read_study

MR = ("T1", "FLAIR", "T1Gd")
PICTURE = ("",)
SAME = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.4"}


def test_a_grey_still_is_one_slice_with_the_spacing_of_its_region(tmp_path: Path) -> None:
    path = write_still(tmp_path / "still.dcm", grey(), regions=[region((0.2, 0.25))])
    image = read_study(path, channels=PICTURE)
    assert np.array_equal(image.voxels, grey()[None, None])
    assert image.voxels.dtype == np.uint8
    assert image.voxels.flags.c_contiguous
    assert (image.channels, image.modality) == (("",), "US")
    assert image.spacing_known
    assert not image.placed
    np.testing.assert_allclose(image.grid.affine, np.diag([0.2, 0.25, 1, 1]))
    assert image.notes == ()
    ds = dcmread(path)
    assert image.source["series_uid"] == ds.SeriesInstanceUID
    assert image.source["slices"] == ((ds.SOPInstanceUID, 1),)


def test_a_colour_still_without_a_size_has_three_channels_and_says_so(tmp_path: Path) -> None:
    image = read_study(write_still(tmp_path / "still.dcm", rgb()))
    assert np.array_equal(image.voxels[:, 0], np.moveaxis(rgb(), -1, 0))
    assert image.channels == ("", "", "")
    assert not image.spacing_known
    assert np.array_equal(image.grid.affine, np.eye(4))
    assert "how large a pixel is" in image.notes[0]


@pytest.mark.parametrize(
    "attrs",
    [
        {"SOPClassUID": SecondaryCaptureImageStorage},
        {"SOPClassUID": UltrasoundMultiFrameImageStorage, "NumberOfFrames": 1},
        {"SpecificCharacterSet": "ISO_IR 100", "NumberOfFrames": ""},
        {"PhotometricInterpretation": None},
        {"SamplesPerPixel": None, "BitsStored": None, "HighBit": None},
    ],
)
def test_whatever_object_it_is_in(tmp_path: Path, attrs: dict[str, Any]) -> None:
    image = read_study(write_still(tmp_path / "still", grey(), **attrs))
    assert np.array_equal(image.voxels[0, 0], grey())


@pytest.mark.parametrize("pixels", [grey(), rgb()], ids=["grey", "rgb"])
def test_it_is_the_picture_that_a_png_of_the_screen_is(tmp_path: Path, pixels: np.ndarray[Any, Any]) -> None:
    Image.fromarray(pixels).save(tmp_path / "screen.png")
    png, still = read_study(tmp_path / "screen.png"), read_study(write_still(tmp_path / "s" / "still.dcm", pixels))
    assert np.array_equal(png.voxels, still.voxels)
    assert png.grid.same_as(still.grid)
    assert png.channels == still.channels


def test_several_stills_of_a_series_are_refused_with_their_number(tmp_path: Path) -> None:
    for number in range(3):
        write_still(tmp_path / f"US{number}.dcm", grey(), **SAME)
    with pytest.raises(InputError, match=r"3 ultrasound stills, which are no volume \(US0\.dcm, .*give its file"):
        read_study(tmp_path)
    assert read_study(tmp_path / "US1.dcm").grid.shape == (1, 60, 88)


def test_several_series_of_stills_are_refused_by_name(tmp_path: Path) -> None:
    for number in range(2):
        attrs = {"StudyInstanceUID": "1.2.3", "SeriesNumber": number + 1}
        write_still(tmp_path / f"US{number}.dcm", grey(), **attrs)
    with pytest.raises(InputError, match=r"2 series of ultrasound lie here: 1: Breast .*2: Breast .*give one"):
        read_study(tmp_path)
    uid = dcmread(tmp_path / "US1.dcm").SeriesInstanceUID
    assert read_study(tmp_path, reference=uid).source["series_uid"] == uid


def test_a_cine_is_refused_with_its_frames(tmp_path: Path) -> None:
    path = write_still(tmp_path / "cine.dcm", np.stack([grey()] * 4), **SAME)
    with pytest.raises(InputError, match=r"cine\.dcm: 4 frames.*export the one that is meant"):
        read_study(path)
    write_still(tmp_path / "still.dcm", grey(), **SAME)
    with pytest.raises(InputError, match=r"1 ultrasound stills.*still\.dcm.* and moving pictures .*give its file"):
        read_study(tmp_path)


def test_models_of_mr_are_told_that_it_is_ultrasound(tmp_path: Path) -> None:
    path = write_still(tmp_path / "still.dcm", grey())
    with pytest.raises(InputError, match=r"expected modality MR \(T1, FLAIR, T1Gd\), got US"):
        read_study(path, channels=MR)
    uid = dcmread(path).SeriesInstanceUID
    with pytest.raises(InputError, match="got US"):
        read_displayed(read_headers([path]), uid, channels=MR)


def test_beside_a_volume_each_model_finds_what_it_looks_at(tmp_path: Path) -> None:
    study = {"StudyInstanceUID": "1.2.3", "PatientID": "STILL"}
    grid = GRIDS["anisotropic"]
    write_dicom_series(tmp_path / "mr", grid, sample(grid), SeriesDescription="FLAIR", **study)
    write_still(tmp_path / "us" / "still.dcm", grey(), **study)
    volume, picture = read_study(tmp_path, channels=MR), read_study(tmp_path, channels=PICTURE)
    assert (volume.modality, volume.grid.shape) == ("MR", grid.shape)
    assert any("US" in note for note in volume.notes)
    assert (picture.modality, picture.grid.shape) == ("US", (1, 60, 88))
    assert any("FLAIR" in note for note in picture.notes)


def test_a_displayed_still_is_read_alone_and_on_its_own_grid(tmp_path: Path) -> None:
    uids = [f"1.2.3.{number}" for number in (4, 5)]
    for number, uid in enumerate(uids):
        attrs = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": uid}
        write_still(tmp_path / f"US{number}.dcm", grey(60 + number, 88), regions=[region()], **attrs)
    for number, uid in enumerate(uids):
        image, grid = read_displayed(read_headers([tmp_path]), uid, channels=PICTURE)
        assert image.source["series_uid"] == uid
        assert image.grid is grid
        assert grid.shape == (1, 60 + number, 88)


def test_placed_grey_ultrasound_of_several_slices_stays_a_volume(tmp_path: Path) -> None:
    grid = GRIDS["anisotropic"]
    write_dicom_series(tmp_path, grid, sample(grid).astype(np.uint8), Modality="US")
    image = read_dicom(read_headers([tmp_path]))
    assert image.grid.same_as(grid, 1e-3)
    assert image.placed


def test_a_still_without_pixels_is_refused(tmp_path: Path) -> None:
    path = write_still(tmp_path / "empty.dcm", grey())
    ds = dcmread(path)
    del ds.PixelData
    ds.save_as(path)
    with pytest.raises(InputError, match=r"empty\.dcm ends before its pixel data"):
        read_study(path)
