"""Every voxel that is read holds what lies at its place in the patient, however the slices were taken and filed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.dicom.phantoms import (
    CYST,
    FAT,
    GRIDS,
    TUMOUR,
    as_displayed,
    grid_points,
    phantom_points,
    sample,
    write_dicom_series,
    write_enhanced_mr,
)
from tumorseg.dicom.headers import read_headers
from tumorseg.geometry import Grid
from tumorseg.io import read_study
from tumorseg.types import StudyImage

#: Voxels whose value may differ because their centre lies on a block's face, within the rounding of positions.
FACE_VOXELS = 2


def assert_is_phantom(image: StudyImage, grid: Grid) -> None:
    """The image lies on ``grid`` and shows the phantom at its place in the patient."""
    assert image.grid.same_as(grid, tolerance_mm=1e-3)
    wrong = image.voxels[0].ravel() != phantom_points(grid_points(image.grid))
    assert wrong.sum() <= FACE_VOXELS
    assert {FAT, CYST, TUMOUR} <= set(np.unique(image.voxels).tolist())


@pytest.mark.parametrize("name", GRIDS)
def test_single_frame_series(tmp_path: Path, name: str) -> None:
    grid = GRIDS[name]
    write_dicom_series(tmp_path / "series", grid, sample(grid))
    assert_is_phantom(read_study(tmp_path), as_displayed(grid))


@pytest.mark.parametrize("name", GRIDS)
def test_enhanced_multi_frame(tmp_path: Path, name: str) -> None:
    grid = GRIDS[name]
    order = np.random.default_rng(3).permutation(grid.shape[0]).tolist()
    path = write_enhanced_mr(tmp_path / "enhanced", grid, sample(grid), frame_order=order)
    assert_is_phantom(read_study(path), as_displayed(grid))


def test_a_mirror_would_be_seen() -> None:
    """The phantom itself: no flip and no exchange of axes leaves it as it is."""
    cube = Grid((40, 40, 40), np.array(GRIDS["axial"].affine))
    voxels = sample(cube)
    for order in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)):
        for flips in np.ndindex(2, 2, 2):
            changed = np.flip(voxels.transpose(order), [axis for axis in range(3) if flips[axis]])
            assert np.array_equal(changed, voxels) == (order == (0, 1, 2) and not any(flips))


def test_k_ascends_along_the_normal(tmp_path: Path) -> None:
    """The order in which OHIF shows a volume, whatever the order in which it was written."""
    grid = GRIDS["flipped slices"]
    write_dicom_series(tmp_path, grid, sample(grid))
    affine = read_study(tmp_path).grid.affine
    assert np.dot(np.cross(affine[:3, 0], affine[:3, 1]), affine[:3, 2]) > 0


def test_slices_name_the_instances_in_order_of_k(tmp_path: Path) -> None:
    grid = GRIDS["axial"]
    paths = write_dicom_series(tmp_path, grid, sample(grid))
    uids = [read_headers([path])[0].frames[0].sop_uid for path in paths]
    assert read_study(tmp_path).source["slices"] == tuple((uid, 1) for uid in uids)


def test_slices_name_the_frames_in_order_of_k(tmp_path: Path) -> None:
    grid = GRIDS["axial"]
    order = list(range(1, 22, 2)) + list(range(0, 22, 2))
    image = read_study(write_enhanced_mr(tmp_path / "e.dcm", grid, sample(grid), frame_order=order))
    assert [frame for _, frame in image.source["slices"]] == [order.index(k) + 1 for k in range(22)]


def test_gantry_tilt_stays_in_the_affine(tmp_path: Path) -> None:
    """A sheared stack: each slice shifted sideways; every voxel is still where it was taken, and a note says so."""
    affine = np.array(GRIDS["axial"].affine)
    affine[1, 2] += 1.2  # each slice 1.2 mm further back
    affine[1, 3] -= 12.0
    grid = Grid(GRIDS["axial"].shape, affine)
    write_dicom_series(tmp_path, grid, sample(grid))
    image = read_study(tmp_path)
    assert_is_phantom(image, grid)
    assert any("13.5 degrees" in note for note in image.notes)


def test_rounded_positions_are_no_tilt(tmp_path: Path) -> None:
    grid = GRIDS["oblique"]
    rounded = Grid(grid.shape, np.round(grid.affine, 2))
    write_dicom_series(tmp_path, rounded, sample(grid), ImageOrientationPatient=None)
    for path in tmp_path.iterdir():
        _set(path, ImageOrientationPatient=[f"{v:.5f}" for v in grid.direction[:, :2].T.ravel()])
    image = read_study(tmp_path)
    assert not any("tilt" in note for note in image.notes)
    assert np.allclose(image.grid.direction.T @ image.grid.direction, np.eye(3), atol=1e-4)


def test_one_slice_is_as_thick_as_it_says(tmp_path: Path) -> None:
    grid = GRIDS["coronal"]
    path = write_dicom_series(tmp_path, grid, sample(grid))[4]
    image = read_study(path)
    assert image.grid.shape == (1, *grid.shape[1:])
    assert image.grid.spacing == pytest.approx(grid.spacing)
    assert np.allclose(image.grid.origin, grid.points(np.array([[0, 0, 4]]))[0])


def _set(path: Path, **values: object) -> None:
    from pydicom import dcmread

    ds = dcmread(path)
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    ds.save_as(path)
