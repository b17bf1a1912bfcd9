"""The mask lies on the tumour: for every grid, from files and from DICOM, on Slicer's way and on OHIF's.

What is expected is worked out from the written files and the phantom's definition in millimetres, not by our readers.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.uid import generate_uid

from tests.dicom.phantoms import (
    GRIDS,
    TUMOUR,
    make_grid,
    phantom_points,
    sample,
    write_dicom_series,
    write_enhanced_mr,
    write_nifti,
    write_nrrd,
)
from tests.serving import ask_ohif, ask_slicer, config_for, dice, in_process, raw_voxels, read_label, tumour_mask
from tumorseg.geometry import Grid

#: Trilinear values between two series move the tumour's faces by parts of a voxel: 0.92 to 1 without any other error.
MIN_DICE_BETWEEN_GRIDS = 0.9


def _check_slicer(folder: Path, name: str, data: bytes, expected_voxels: int) -> None:
    """Read the answer by its header and find every marked voxel, and as many as there are, in the tumour."""
    file = folder / name
    file.write_bytes(data)
    voxels, grid = read_label(file)
    assert expected_voxels > 50
    np.testing.assert_array_equal(voxels > 0, tumour_mask(grid))
    assert int((voxels > 0).sum()) == expected_voxels


@pytest.mark.parametrize("write", [write_nifti, write_nrrd], ids=["nifti", "nrrd"])
@pytest.mark.parametrize("name", GRIDS)
def test_slicer_path_from_files(name: str, write: Callable[..., Path], tmp_path: Path) -> None:
    grid, studies = GRIDS[name], tmp_path / "studies"
    write(studies / f"case1{'.nii.gz' if write is write_nifti else '.nrrd'}", grid, sample(grid))
    with in_process(config_for(studies, tmp_path)) as client:
        for extension in (".nrrd", ".nii.gz", ".seg.nrrd"):
            params, file_name, data = ask_slicer(client, "case1", result_extension=extension)
            assert file_name.endswith(extension)
            assert params["label_names"] == {"tumor": 1}
            _check_slicer(tmp_path, file_name, data, int(tumour_mask(grid).sum()))
        answer = raw_voxels(ask_ohif(client, "case1"))
        np.testing.assert_array_equal(answer.reshape(grid.shape) > 0, tumour_mask(grid))


def _enhanced(folder: Path, grid: Grid, voxels: NDArray[Any], **attrs: Any) -> list[Path]:
    return [write_enhanced_mr(folder / "enhanced.dcm", grid, voxels, **attrs)]


@pytest.mark.parametrize("write", [write_dicom_series, _enhanced], ids=["single-frame", "enhanced"])
@pytest.mark.parametrize("name", GRIDS)
def test_both_paths_from_dicom(name: str, write: Callable[..., list[Path]], tmp_path: Path) -> None:
    grid = GRIDS[name]
    files = write(tmp_path / "studies" / "flair", grid, sample(grid), SeriesDescription="AX FLAIR")
    uid = str(pydicom.dcmread(files[0], stop_before_pixels=True).SeriesInstanceUID)
    with in_process(config_for(tmp_path / "studies", tmp_path)) as client:
        _, file_name, data = ask_slicer(client, uid)
        _check_slicer(tmp_path, file_name, data, int(tumour_mask(grid).sum()))
        answer = raw_voxels(ask_ohif(client, uid))
    np.testing.assert_array_equal(answer > 0, _displayed(files).ravel())


@pytest.mark.parametrize(("shown", "seen"), [("sagittal", "axial"), ("axial", "coronal"), ("oblique", "sagittal")])
def test_displayed_series_need_not_be_the_models(shown: str, seen: str, tmp_path: Path) -> None:
    shared = {"StudyInstanceUID": generate_uid(), "FrameOfReferenceUID": generate_uid()}
    studies = tmp_path / "studies"
    grids = {"T1": finer(GRIDS[shown]), "FLAIR": finer(GRIDS[seen])}
    files = {
        kind: write_dicom_series(
            studies / kind, grid, plain(grid, kind), SeriesDescription=kind, **_timing(kind), **shared
        )
        for kind, grid in grids.items()
    }
    uid = str(pydicom.dcmread(files["T1"][0], stop_before_pixels=True).SeriesInstanceUID)
    expected = _displayed(files["T1"])
    half_way = "threshold=tests.support:build_threshold"
    with in_process(config_for(studies, tmp_path, extra_models=half_way)) as client:
        answer = raw_voxels(ask_ohif(client, uid)).reshape(expected.shape)
        _, file_name, data = ask_slicer(client, uid)
    (tmp_path / file_name).write_bytes(data)
    voxels, grid = read_label(tmp_path / file_name)
    assert dice(answer, expected) > MIN_DICE_BETWEEN_GRIDS
    assert dice(voxels, tumour_mask(grid)) > MIN_DICE_BETWEEN_GRIDS
    assert max(dice(np.flip(answer, axis), expected) for axis in range(3)) < MIN_DICE_BETWEEN_GRIDS


def finer(grid: Grid) -> Grid:
    """Return a grid of half the steps: on a coarse one the tumour's faces move by half a voxel whoever resamples."""
    k, j, i = (2 * n for n in grid.shape)
    return make_grid(grid.direction, [step / 2 for step in grid.spacing], (k, j, i))


def plain(grid: Grid, kind: str) -> NDArray[np.int16]:
    """Return a series without bright fat and cyst, and with the tumour only where it is the FLAIR."""
    seen = sample(grid)
    bright = (seen == TUMOUR) & (kind == "FLAIR")
    return np.where(bright, TUMOUR, np.minimum(seen, 100)).astype(np.int16)


def _timing(kind: str) -> dict[str, Any]:
    """Return what an MR scanner writes about these sequences."""
    if kind == "FLAIR":
        return {"EchoTime": 120, "RepetitionTime": 9000, "InversionTime": 2500, "ScanningSequence": ["SE", "IR"]}
    return {"EchoTime": 12, "RepetitionTime": 500, "ScanningSequence": "SE"}


def _displayed(files: list[Path]) -> NDArray[np.bool_]:
    """Work out, from the headers alone, the tumour in the order in which OHIF shows the series' voxels.

    Rows and columns as stored, slices ascending along row direction x column direction; ``(K, J, I)``.
    """
    frames = [frame for file in files for frame in _frames(pydicom.dcmread(file))]
    row, column = frames[0][1][:3], frames[0][1][3:]
    normal = np.cross(row, column)
    slices = []
    for position, _, spacing, rows, columns in sorted(frames, key=lambda frame: float(normal @ frame[0])):
        j, i = np.indices((rows, columns)).reshape(2, -1)
        points = position + np.outer(i * spacing[1], row) + np.outer(j * spacing[0], column)
        slices.append((phantom_points(points) == TUMOUR).reshape(rows, columns))
    return np.stack(slices)


def _frames(dataset: pydicom.Dataset) -> list[tuple[Any, ...]]:
    """Return position, orientation, spacing, rows and columns of each frame of a file."""
    size = int(dataset.Rows), int(dataset.Columns)
    if "PerFrameFunctionalGroupsSequence" not in dataset:
        return [(*_numbers(dataset.ImagePositionPatient, dataset.ImageOrientationPatient, dataset.PixelSpacing), *size)]
    shared = dataset.SharedFunctionalGroupsSequence[0]
    orientation = shared.PlaneOrientationSequence[0].ImageOrientationPatient
    spacing = shared.PixelMeasuresSequence[0].PixelSpacing
    groups = dataset.PerFrameFunctionalGroupsSequence
    return [(*_numbers(g.PlanePositionSequence[0].ImagePositionPatient, orientation, spacing), *size) for g in groups]


def _numbers(*values: Any) -> list[NDArray[np.float64]]:
    return [np.array([float(number) for number in value]) for value in values]
