"""What makes a series not one volume is found, named and refused; what is merely odd is told."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.uid import generate_uid

from tests.dicom.phantoms import GRIDS, sample, write_dicom_series, write_enhanced_mr
from tumorseg.dicom.headers import Frame, PixelFormat, SeriesHeader, read_headers, scan
from tumorseg.dicom.preflight import check_series
from tumorseg.errors import InputError
from tumorseg.geometry import Grid
from tumorseg.io import read_study

GRID = GRIDS["anisotropic"]
VOXELS = sample(GRID)
COMMON = ("StudyInstanceUID", "FrameOfReferenceUID")


@pytest.fixture
def series(tmp_path: Path) -> SeriesHeader:
    """A sound series of 16 slices, 7 mm apart."""
    write_dicom_series(tmp_path / "sound", GRID, VOXELS, SeriesDescription="FLAIR")
    return read_headers([tmp_path / "sound"])[0]


def codes(series: SeriesHeader, modality: str | None = None) -> dict[str, str]:
    """Code -> severity of what the preflight finds."""
    return {finding.code: finding.severity for finding in check_series(series, modality)}


def moved(series: SeriesHeader, offsets: Any) -> SeriesHeader:
    """The series with its slices moved along z by ``offsets`` mm, ``(K,)``."""
    frames = []
    for frame, offset in zip(series.frames, np.broadcast_to(offsets, len(series.frames)), strict=True):
        x, y, z = frame.position or (0, 0, 0)
        frames.append(replace(frame, position=(x, y, z + float(offset))))
    return replace(series, frames=tuple(frames))


def test_a_sound_series(series: SeriesHeader) -> None:
    assert codes(series, "MR") == {}


def test_one_missing_slice(series: SeriesHeader, tmp_path: Path) -> None:
    gone = series.frames[5]
    gone.path.unlink()
    with pytest.raises(InputError) as caught:
        read_study(tmp_path)
    z = [frame.position[2] for frame in series.frames if frame.position]
    assert f"1 slice is missing at a step of 7 mm: 1 between {z[4]:.4g} and {z[6]:.4g} mm" in str(caught.value)


def test_several_missing_slices(series: SeriesHeader) -> None:
    """More gaps than whole steps: the step is still the small one."""
    kept = tuple(frame for k, frame in enumerate(series.frames) if k % 3 != 2)
    finding = check_series(replace(series, frames=kept))[0]
    assert (finding.code, finding.severity) == ("missing-slices", "error")
    assert finding.message.startswith("5 slices are missing at a step of 7 mm")


def test_every_second_slice_missing_is_told(series: SeriesHeader) -> None:
    """Nothing in the positions shows it, the announced spacing does."""
    frames = tuple(replace(frame, gap=7.0) for frame in series.frames[::2])
    assert codes(replace(series, frames=frames)) == {"sparse-slices": "warning"}


def test_uneven_slices_are_refused(series: SeriesHeader) -> None:
    offsets = np.where(np.arange(16) >= 8, 3.5, 0.0)
    assert codes(moved(series, offsets)) == {"unequal-spacing": "error"}


def test_slightly_uneven_slices_are_told(series: SeriesHeader) -> None:
    offsets = np.where(np.arange(16) % 2, 0.3, 0.0)
    assert codes(moved(series, offsets)) == {"unequal-spacing": "warning"}


def test_rounded_positions_are_even(series: SeriesHeader) -> None:
    offsets = np.random.default_rng(0).uniform(-0.005, 0.005, 16)
    assert codes(moved(series, offsets)) == {}


def test_gantry_tilt_is_told(series: SeriesHeader) -> None:
    frames = []
    for k, frame in enumerate(series.frames):
        x, y, z = frame.position or (0, 0, 0)
        frames.append(replace(frame, position=(x, y + 1.5 * k, z)))
    assert codes(replace(series, frames=tuple(frames))) == {"gantry-tilt": "warning"}


def test_duplicate_slices_without_a_difference(series: SeriesHeader, tmp_path: Path) -> None:
    ds_path = series.frames[3].path
    copy = tmp_path / "sound" / "again.dcm"
    _copy_as_new_instance(ds_path, copy)
    with pytest.raises(InputError, match="17 slices lie at 16 places; nothing tells them apart"):
        read_study(tmp_path)


def test_a_copied_file_is_no_duplicate(series: SeriesHeader, tmp_path: Path) -> None:
    shutil.copy(series.frames[3].path, tmp_path / "sound" / "copy.dcm")
    image = read_study(tmp_path)
    assert image.grid.shape == GRID.shape
    assert any("copy of another" in note for note in image.notes)


@pytest.mark.parametrize(
    ("keyword", "values", "words"),
    [
        ("EchoTime", (20, 90), "echo time"),
        ("TemporalPositionIdentifier", (1, 2), "temporal position"),
        ("DiffusionBValue", (0.0, 1000.0), "b-value"),
        ("ContrastBolusAgent", ("", "Gd"), "contrast agent"),
    ],
)
def test_duplicates_that_are_two_volumes(tmp_path: Path, keyword: str, values: Any, words: str) -> None:
    uids = {key: generate_uid() for key in (*COMMON, "SeriesInstanceUID")}
    for number, value in enumerate(values):
        write_dicom_series(tmp_path / str(number), GRID, VOXELS, **uids, **{keyword: value})
    with pytest.raises(InputError, match=rf"32 slices lie at 16 places; they differ in .*{words}.*several volumes"):
        read_study(tmp_path)


def test_two_series_mixed_under_one_uid(tmp_path: Path) -> None:
    """Two orientations that an export put into one series."""
    uids = {key: generate_uid() for key in (*COMMON, "SeriesInstanceUID")}
    for name in ("axial", "sagittal"):
        write_dicom_series(tmp_path / name, GRIDS[name], sample(GRIDS[name]), **uids)
    with pytest.raises(InputError, match=r"mixes sizes .*40x36.*2 orientations"):
        read_study(tmp_path)


def test_two_sizes_mixed_under_one_uid(tmp_path: Path) -> None:
    uids = {key: generate_uid() for key in (*COMMON, "SeriesInstanceUID")}
    for name in ("axial", "anisotropic"):
        write_dicom_series(tmp_path / name, GRIDS[name], sample(GRIDS[name]), **uids)
    with pytest.raises(InputError, match=r"mixes sizes.*40x36 \(22 slices\).*32x48 \(16 slices\).*pixel spacings"):
        read_study(tmp_path)


def test_no_geometry(tmp_path: Path) -> None:
    write_dicom_series(tmp_path, GRID, VOXELS)
    for path in tmp_path.iterdir():
        _delete(path, "ImagePositionPatient")
    with pytest.raises(InputError, match="16 of 16 slices have no position"):
        read_study(tmp_path)


def test_wrong_modality(tmp_path: Path) -> None:
    write_dicom_series(tmp_path, GRID, VOXELS, Modality="CT")
    assert read_study(tmp_path).modality == "CT"
    with pytest.raises(InputError, match="expected modality MR, got CT"):
        read_study(tmp_path, channels=("T1", "FLAIR", "T1Gd"))


def test_colour_is_no_volume(tmp_path: Path) -> None:
    write_dicom_series(tmp_path, GRID, VOXELS.astype(np.uint8), PhotometricInterpretation="RGB", SamplesPerPixel=3)
    with pytest.raises(InputError, match=r"expected grey voxels .*got RGB"):
        read_study(tmp_path)


def test_enhanced_file_with_a_missing_frame(tmp_path: Path) -> None:
    order = [k for k in range(16) if k != 4]
    path = write_enhanced_mr(tmp_path / "e", GRID, VOXELS, frame_order=order)
    with pytest.raises(InputError, match="1 slice is missing"):
        read_study(path)


def test_skewed_rows_and_columns() -> None:
    pixels = PixelFormat("1.2.840.10008.1.2.1", 0, 4, 4, 1, 1, "MONOCHROME2", 16, 16, 15, False)
    frame = Frame(Path("f"), 0, "1", pixels, (0, 0, 0), ((1, 0, 0), (0.3, 0.954, 0)), (1, 1))
    from tumorseg.dicom.preflight import check_geometry

    assert [finding.code for finding in check_geometry([frame])] == ["bad-orientation"]


def test_other_objects_of_a_study_are_left_out(tmp_path: Path) -> None:
    write_dicom_series(tmp_path / "mr", GRID, VOXELS)
    report = write_dicom_series(tmp_path / "sr", Grid((1, *GRID.shape[1:]), GRID.affine), VOXELS[:1], Modality="SR")[0]
    found = scan([tmp_path])
    assert len(found.series) == 1
    assert found.notes == (f"Left out: {report.name} (SR) is no image (1 in all).",)


def _copy_as_new_instance(path: Path, copy: Path) -> None:
    from pydicom import dcmread

    ds = dcmread(path)
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    ds.save_as(copy)


def _delete(path: Path, keyword: str) -> None:
    from pydicom import dcmread

    ds = dcmread(path)
    delattr(ds, keyword)
    ds.save_as(path)
