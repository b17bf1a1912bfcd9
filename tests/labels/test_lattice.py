"""Two grids are the same voxels, a part of them, or others; in any order of the axes."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest

from tests.dicom.phantoms import GRIDS
from tumorseg.geometry import Grid, Reorientation
from tumorseg.labels.lattice import CENTRE_TOLERANCE_VOXELS, same_lattice

TURNS = [Reorientation(order, flips) for order in permutations((0, 1, 2)) for flips in product((False, True), repeat=3)]


def moved(grid: Grid, i: float = 0, j: float = 0, k: float = 0) -> Grid:
    affine = grid.affine.copy()
    affine[:3, 3] += grid.affine[:3, :3] @ np.array([i, j, k])
    return Grid(grid.shape, affine)


@pytest.mark.parametrize("name", ["oblique", "permuted oblique", "flipped slices"])
def test_every_order_of_the_axes_is_undone(name: str) -> None:
    grid = GRIDS[name]
    voxels = np.arange(np.prod(grid.shape)).reshape(grid.shape)
    for turn in TURNS:
        found = same_lattice(turn.grid(grid), grid)
        assert found is not None
        assert np.array_equal(found.apply(turn.apply(voxels)), voxels)
        assert found.is_turned == (turn != TURNS[0])


def test_a_cube_is_told_from_its_other_sides() -> None:
    grid = Grid((4, 4, 4), GRIDS["oblique"].affine)
    voxels = np.arange(64).reshape(grid.shape)
    for turn in TURNS:
        found = same_lattice(turn.grid(grid), grid)
        assert found is not None
        assert np.array_equal(found.apply(turn.apply(voxels)), voxels)


@pytest.mark.parametrize("axis", ["i", "j", "k"])
def test_the_tolerance_is_a_part_of_a_voxel_along_each_axis(axis: str) -> None:
    grid = GRIDS["anisotropic"]
    assert same_lattice(moved(grid, **{axis: CENTRE_TOLERANCE_VOXELS * 0.9}), grid) is not None
    assert same_lattice(moved(grid, **{axis: CENTRE_TOLERANCE_VOXELS * 1.1}), grid) is None
    assert same_lattice(moved(grid, **{axis: 1}), grid) is None


def test_a_part_only_where_parts_are_allowed() -> None:
    grid = GRIDS["oblique"]
    part = Grid((2, 3, 4), moved(grid, i=5, j=6, k=7).affine)
    assert same_lattice(part, grid) is None
    found = same_lattice(part, grid, part=True)
    assert found is not None
    assert (found.start, found.is_part(part)) == ((7, 6, 5), True)
    whole = found.apply(np.ones(part.shape, np.uint8))
    assert whole[7:9, 6:9, 5:9].all()
    assert whole.sum() == 24


@pytest.mark.parametrize(("i", "j", "k"), [(-1, 0, 0), (0, -1, 0), (0, 0, 25), (0.5, 0, 0)])
def test_a_part_that_sticks_out_or_lies_between_is_none(i: float, j: float, k: float) -> None:
    grid = GRIDS["oblique"]
    part = Grid((2, 3, 4), moved(grid, i, j, k).affine)
    assert same_lattice(part, grid, part=True) is None
