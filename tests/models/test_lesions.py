"""What is measured on a lesion: by hand, and against every pair of border points."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from tests.dicom.phantoms import GRIDS
from tests.test_geometry import rotated
from tumorseg.geometry import Grid, affine_from_parts
from tumorseg.models.lesions import longest_diameter, measure, slice_diameter
from tumorseg.types import Detections, Instance

SHAPE = (8, 10, 12)
ANISOTROPIC = Grid(SHAPE, affine_from_parts([5, -7, 11], np.eye(3), [0.5, 2.0, 4.0]))
OBLIQUE = Grid(SHAPE, affine_from_parts([5, -7, 11], rotated(), [0.5, 2.0, 4.0]))


def instance(mask: np.ndarray, origin: tuple[int, int, int] = (0, 0, 0), label: str = "tumor") -> Instance:
    k, j, i = origin
    low = np.array([i, j, k], dtype=np.float64)
    return Instance(label, 0.75, np.concatenate([low, low + mask.shape[::-1]]), mask, origin)


@pytest.mark.parametrize("grid", [ANISOTROPIC, OBLIQUE], ids=["anisotropic", "oblique"])
def test_a_bar_is_as_long_as_its_edges_are_apart(grid: Grid) -> None:
    # Ten voxels of half a millimetre in one slice of 4 mm: from the first one's top to the last one's bottom.
    for shape, length in (((1, 1, 10), np.hypot(4.5, 4.0)), ((1, 7, 1), 14.0), ((3, 1, 1), 12.0)):
        mask = np.ones(shape, dtype=bool)
        assert longest_diameter(mask, grid) == pytest.approx(length)
    assert slice_diameter(np.ones((3, 1, 1), dtype=bool), grid) == pytest.approx(2.0)
    assert slice_diameter(np.ones((3, 1, 10), dtype=bool), grid) == pytest.approx(5.0)


def test_one_voxel_and_none() -> None:
    one = np.ones((1, 1, 1), dtype=bool)
    assert longest_diameter(one, ANISOTROPIC) == pytest.approx(4.0)
    assert slice_diameter(one, ANISOTROPIC) == pytest.approx(2.0)
    empty = np.zeros((2, 3, 4), dtype=bool)
    assert longest_diameter(empty, ANISOTROPIC) == slice_diameter(empty, ANISOTROPIC) == 0


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("grid", [ANISOTROPIC, OBLIQUE], ids=["anisotropic", "oblique"])
def test_the_hull_loses_no_distance(grid: Grid, seed: int) -> None:
    mask = np.random.default_rng(seed).random((4, 6, 7)) < 0.4
    steps = {axis: np.eye(3)[axis] / 2 for axis in range(3)}
    centres = np.argwhere(mask)
    points = np.concatenate([centres + sign * steps[axis] for axis in range(3) for sign in (-1, 1)])
    assert longest_diameter(mask, grid) == pytest.approx(pdist(grid.points(points[:, ::-1])).max())
    within = []
    for k in np.unique(centres[:, 0]):
        there = centres[centres[:, 0] == k]
        points = np.concatenate([there + sign * steps[axis] for axis in (1, 2) for sign in (-1, 1)])
        within.append(pdist(grid.points(points[:, ::-1])).max())
    assert slice_diameter(mask, grid) == pytest.approx(max(within))


def test_a_ball_of_20_mm() -> None:
    grid = Grid((25, 25, 25), affine_from_parts([-12, -12, -12], rotated(), [1, 1, 1]))
    k, j, i = np.indices(grid.shape)
    mask = (i - 12) ** 2 + (j - 12) ** 2 + (k - 12) ** 2 <= 10.0**2
    assert longest_diameter(mask, grid) == pytest.approx(20, abs=1.1)
    assert slice_diameter(mask, grid) == pytest.approx(20, abs=1.1)


@pytest.mark.parametrize("name", GRIDS)
def test_everything_of_a_lesion(name: str) -> None:
    grid = GRIDS[name]
    mask = np.zeros((3, 4, 5), dtype=bool)
    mask[0, 1:3, 1:4] = mask[2, 0, 0] = True
    (lesion,) = measure(Detections((instance(mask, (6, 8, 10)),), grid, {"cyst": 1, "tumor": 2}))
    assert (lesion.label, lesion.value, lesion.score) == ("tumor", 2, 0.75)
    assert lesion.voxel_box == (10, 8, 6, 15, 12, 9)
    assert lesion.slices == (6, 8)
    assert lesion.voxels == 7
    assert lesion.volume_ml == pytest.approx(7 * np.prod(grid.spacing) / 1000)
    corners = [(i, j, k) for i in (9.5, 14.5) for j in (7.5, 11.5) for k in (5.5, 8.5)]
    expected, found = grid.points(np.array(corners)), lesion.box.corners()
    distances = np.linalg.norm(expected[:, None] - found[None], axis=2)
    np.testing.assert_allclose(distances.min(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(distances.min(axis=1), 0, atol=1e-9)


def test_without_spacing_there_are_no_millimetres() -> None:
    grid = Grid((1, 20, 20), np.eye(4))
    found = Detections((instance(np.ones((1, 3, 4), dtype=bool)),), grid, {"tumor": 1})
    (lesion,) = measure(found, spacing_known=False)
    assert lesion.voxels == 12
    assert lesion.volume_ml is lesion.longest_diameter_mm is lesion.slice_diameter_mm is None


def test_a_picture_without_thickness_has_diameters_and_no_volume() -> None:
    """Pixels of 0.2 x 0.25 mm in a slice that is 1 mm thick for form's sake: the depth is no part of the diameter."""
    grid = Grid((1, 20, 20), np.diag([0.2, 0.25, 1.0, 1.0]))
    found = Detections((instance(np.ones((1, 3, 4), dtype=bool)),), grid, {"tumor": 1})
    (lesion,) = measure(found, placed=False)
    assert lesion.volume_ml is None
    # From the middle of the first pixel's upper edge to that of the last one's lower edge: 3 columns and 3 rows apart.
    assert lesion.longest_diameter_mm == lesion.slice_diameter_mm == pytest.approx(np.hypot(3 * 0.2, 3 * 0.25))
    (thick,) = measure(found)
    assert thick.volume_ml == pytest.approx(12 * 0.2 * 0.25 / 1000)
    assert thick.longest_diameter_mm > 1
