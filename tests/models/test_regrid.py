"""An answer brought onto another grid stays where it is in the patient."""

import numpy as np

from tests.test_geometry import rotated
from tumorseg.geometry import Grid, affine_from_parts
from tumorseg.models.regrid import on_grid, regrid
from tumorseg.types import Prediction, Segmentation, StudyImage

AXIAL = Grid((20, 40, 40), affine_from_parts([-20, -20, -30], np.eye(3), [1, 1, 3]))
OBLIQUE = Grid((50, 50, 50), affine_from_parts([-25, -28, -28], rotated(), [1.2, 1.2, 1.2]))


def ball(grid, radius=11.0):
    k, j, i = np.indices(grid.shape).reshape(3, -1)
    centre = np.array([2.0, -3.0, 1.0])
    inside = np.linalg.norm(grid.points(np.stack([i, j, k], 1)) - centre, axis=1) < radius
    return inside.reshape(grid.shape).astype(np.uint8)


def answer(probability=True, labels=None):
    mask = ball(AXIAL)
    found = Segmentation(mask, AXIAL, labels or {"tumour": 1}, mask.astype(np.float32) if probability else None)
    return Prediction(found, "m", "v", ("said",))


def dice(a, b):
    return 2 * np.logical_and(a, b).sum() / (a.astype(bool).sum() + b.astype(bool).sum())


def test_the_mask_stays_in_the_patient():
    moved = regrid(answer(), OBLIQUE)
    assert moved.segmentation.grid is OBLIQUE
    assert moved.notes == ("said",)
    assert dice(moved.segmentation.voxels, ball(OBLIQUE)) > 0.93
    assert moved.segmentation.voxels.dtype == np.uint8


def test_label_maps_without_probability_go_by_the_nearest_voxel():
    moved = regrid(answer(probability=False, labels={"a": 1, "b": 2}), OBLIQUE).segmentation
    assert moved.probability is None
    assert dice(moved.voxels, ball(OBLIQUE)) > 0.9


def test_the_same_grid_changes_nothing():
    before = answer()
    assert regrid(before, Grid(AXIAL.shape, AXIAL.affine)) is before
    image = StudyImage(ball(AXIAL)[None], AXIAL, ("",))
    assert on_grid(image, AXIAL) is image


def test_outside_of_the_old_grid_nothing_is_marked():
    far = Grid((5, 5, 5), affine_from_parts([500, 0, 0], np.eye(3), [1, 1, 1]))
    assert not regrid(answer(), far).segmentation.voxels.any()
