"""Grids and the changes between them: every voxel keeps its place in the patient."""

import itertools

import numpy as np
import pytest

from tumorseg.errors import InputError
from tumorseg.geometry import Grid, affine_from_parts, flip_ras_lps, oriented_box, resample, to_axial

AXIS_ALIGNED = [
    (permutation, signs)
    for permutation in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]


def axis_aligned(permutation, signs, shape=(4, 5, 6), spacing=(1.0, 2.0, 3.5)):
    direction = np.zeros((3, 3))
    for world in range(3):
        direction[world, permutation[world]] = signs[world]
    return Grid(shape, affine_from_parts([10, -20, 30], direction, spacing))


def rotated(degrees=(20, -15, 10)):
    a, b, c = np.radians(degrees)
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return about_x @ about_y @ about_z


@pytest.mark.parametrize(("permutation", "signs"), AXIS_ALIGNED)
def test_to_axial_keeps_every_voxel_at_its_place(permutation, signs):
    grid = axis_aligned(permutation, signs)
    turn = to_axial(grid)
    axial = turn.grid(grid)
    voxels = np.random.default_rng(0).random((2, *grid.shape))
    turned = turn.apply(voxels)
    assert np.allclose(axial.direction, np.eye(3))
    assert turned.shape[1:] == axial.shape
    kji = np.array(list(np.ndindex(grid.shape)))
    there = np.rint(axial.indices(grid.points(kji[:, ::-1]))).astype(int)
    assert np.array_equal(turned[0][tuple(there[:, ::-1].T)], voxels[0][tuple(kji.T)])
    assert np.array_equal(turn.invert(turned), voxels)


def test_to_axial_of_an_oblique_grid_takes_the_nearest_axes():
    sagittal = np.array([[0, 0, 1], [1, 0, 0], [0, -1, 0]], float)
    grid = Grid((3, 4, 5), affine_from_parts([0, 0, 0], rotated() @ sagittal, [1, 1, 4]))
    assert np.diag(to_axial(grid).grid(grid).direction).min() > 0.85


def test_points_and_indices_are_inverse_and_use_voxel_centres():
    grid = Grid((7, 8, 9), affine_from_parts([1, 2, 3], rotated(), [0.5, 0.7, 4]))
    ijk = np.array([[0, 0, 0], [8, 7, 6], [1.5, 2.25, 3.75]])
    assert np.allclose(grid.points(ijk)[0], [1, 2, 3])
    assert np.allclose(grid.indices(grid.points(ijk)), ijk)
    assert np.allclose(grid.spacing, [0.5, 0.7, 4])


def test_ras_lps_is_its_own_inverse():
    affine = affine_from_parts([1, 2, 3], rotated(), [1, 1, 1])
    flipped = flip_ras_lps(affine)
    assert np.allclose(flipped[:2], -affine[:2])
    assert np.allclose(flipped[2:], affine[2:])
    assert np.allclose(flip_ras_lps(flipped), affine)


@pytest.mark.parametrize(("permutation", "signs"), AXIS_ALIGNED[::5])
def test_resample_between_permuted_grids_is_exact(permutation, signs):
    grid = axis_aligned(permutation, signs)
    axial = to_axial(grid)
    voxels = np.random.default_rng(1).random(grid.shape).astype(np.float32)
    assert np.allclose(resample(voxels, grid, axial.grid(grid)), axial.apply(voxels), atol=1e-6)


def test_resample_interpolates_a_ramp_linearly_and_is_zero_outside():
    grid = Grid((1, 1, 11), np.eye(4))
    ramp = np.arange(11, dtype=np.float32).reshape(1, 1, 11)
    fine = Grid((1, 1, 41), affine_from_parts([-5, 0, 0], np.eye(3), [0.5, 1, 1]))
    out = resample(ramp, grid, fine)[0, 0]
    positions = -5 + 0.5 * np.arange(41)
    assert np.allclose(out[(positions >= 0) & (positions <= 10)], positions[(positions >= 0) & (positions <= 10)])
    assert out[positions < -0.5].max() == 0
    assert out[positions > 10.5].max() == 0


def test_resample_of_one_thick_slice_fills_its_thickness_only():
    slab = Grid((1, 2, 2), affine_from_parts([0, 0, 0], np.eye(3), [1, 1, 6]))
    thin = Grid((11, 2, 2), affine_from_parts([0, 0, -5], np.eye(3), [1, 1, 1]))
    out = resample(np.ones((1, 2, 2), np.uint8), slab, thin, linear=False)
    assert out.dtype == np.uint8
    assert out[:, 0, 0].tolist() == [0, 0, 1, 1, 1, 1, 1, 1, 1, 0, 0]


def test_same_as_compares_places_not_numbers():
    grid = Grid((4, 5, 6), np.eye(4))
    assert grid.same_as(Grid((4, 5, 6), affine_from_parts([1e-4, 0, 0], np.eye(3), [1, 1, 1])))
    assert not grid.same_as(Grid((4, 5, 6), affine_from_parts([0.1, 0, 0], np.eye(3), [1, 1, 1])))
    assert not grid.same_as(Grid((4, 6, 5), np.eye(4)))


@pytest.mark.parametrize(
    ("shape", "affine"),
    [
        ((4, 5, 0), np.eye(4)),
        ((4, 5), np.eye(4)),
        ((4, 5, 6), np.eye(3)),
        ((4, 5, 6), np.diag([1, 0, 1, 1])),
        ((4, 5, 6), np.full((4, 4), np.nan)),
    ],
)
def test_impossible_grids_are_refused(shape, affine):
    with pytest.raises(InputError):
        Grid(shape, affine)


def _edges(grid, box):
    """The corners of a voxel box in mm, from the affine alone."""
    ends = itertools.product(*zip(box[:3], box[3:], strict=True))
    return np.array([(grid.affine @ [*(np.array(end) - 0.5), 1])[:3] for end in ends])


BOXES = [np.array([2, 1, 0, 3, 2, 1]), np.array([0.25, 1.5, 2, 4.75, 3.5, 3])]


@pytest.mark.parametrize("box", BOXES, ids=["one voxel", "fractions"])
@pytest.mark.parametrize("turn", [np.eye(3), rotated()], ids=["straight", "oblique"])
@pytest.mark.parametrize(("permutation", "signs"), AXIS_ALIGNED)
def test_a_box_in_the_patient_has_the_corners_of_its_voxels(permutation, signs, turn, box):
    grid = axis_aligned(permutation, signs)
    grid = Grid(grid.shape, np.block([[turn, np.zeros((3, 1))], [np.zeros(3), 1]]) @ grid.affine)
    placed = oriented_box(grid, box)
    found, expected = placed.corners(), _edges(grid, box)
    assert np.allclose(sorted(map(tuple, found.round(6))), sorted(map(tuple, expected.round(6))))
    assert np.allclose(placed.axes.T @ placed.axes, np.eye(3))
    assert np.linalg.det(placed.axes) > 0
    assert np.allclose(placed.size, (box[3:] - box[:3]) * grid.spacing)
    assert np.allclose(np.abs((placed.axes * grid.direction).sum(axis=0)), 1)


def test_a_box_on_a_sheared_grid_is_around_all_of_it():
    affine = np.eye(4)
    affine[1, 2] = 0.4  # a gantry tilt
    grid = Grid((6, 8, 9), affine)
    placed = oriented_box(grid, np.array([1, 2, 0, 5, 6, 5]))
    corners = _edges(grid, np.array([1, 2, 0, 5, 6, 5]))
    along = (corners - placed.centre) @ placed.axes
    assert np.allclose(along.max(axis=0), placed.size / 2)
    assert np.allclose(along.min(axis=0), -placed.size / 2)
    assert np.allclose(placed.size, [4, 4 + 5 * 0.4, 5])
