"""An answer brought onto another grid stays where it is in the patient."""

from dataclasses import replace

import numpy as np

from tests.test_geometry import rotated
from tumorseg.geometry import Grid, affine_from_parts, oriented_box
from tumorseg.models.regrid import on_grid, regrid
from tumorseg.types import Detections, Instance, Prediction, Segmentation, StudyImage

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


def found(*masks, grid=AXIAL):
    instances = []
    for score, mask in zip((0.9, 0.8, 0.7), masks, strict=False):
        k, j, i = (np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3))
        low, high = np.array([k[0], j[0], i[0]]), np.array([k[-1], j[-1], i[-1]]) + 1
        cut = mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))].astype(bool)
        box = np.concatenate([low[::-1], high[::-1]]).astype(float)
        instances.append(Instance("tumour", score, box, cut, tuple(int(n) for n in low)))
    detections = Detections(tuple(instances), grid, {"tumour": 1})
    return Prediction(detections.label_map(), "m", "v", ("said",), detections=detections)


def test_detections_move_with_their_masks_boxes_and_scores():
    shown = regrid(found(ball(AXIAL)), OBLIQUE)
    (lesion,) = shown.detections.instances
    assert (lesion.label, lesion.score) == ("tumour", 0.9)
    assert dice(shown.segmentation.voxels, ball(OBLIQUE)) > 0.9
    k, j, i = (np.flatnonzero(shown.segmentation.voxels.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3))
    assert np.array_equal(lesion.box, [i[0], j[0], k[0], i[-1] + 1, j[-1] + 1, k[-1] + 1])
    assert shown.notes == ("said",)


def test_parallel_grids_keep_the_box_exactly():
    """Half the steps, axes exchanged and one reversed: the box is at the same millimetres, also between voxels."""
    before = found(ball(AXIAL))
    edges = before.detections.instances[0].box
    fractional = replace(before.detections.instances[0], box=edges + np.array([0.25, 0.5, 0, -0.25, 0, 0]))
    before = replace(before, detections=replace(before.detections, instances=(fractional,)))
    direction = np.array([[0, -1, 0], [0, 0, 1], [1, 0, 0]], dtype=float)
    fine = Grid((80, 80, 60), affine_from_parts([20, -20.25, -31], direction, [1.0, 0.5, 0.5]))
    (lesion,) = regrid(before, fine).detections.instances
    mine, theirs = oriented_box(AXIAL, fractional.box).corners(), oriented_box(fine, lesion.box).corners()
    assert np.allclose(sorted(map(tuple, mine.round(6))), sorted(map(tuple, theirs.round(6))))


def test_a_lesion_between_two_slices_is_kept_and_one_outside_is_told_of():
    thin, far = np.zeros(AXIAL.shape, bool), np.zeros(AXIAL.shape, bool)
    thin[10, 5:9, 6:9] = True  # at z = 0, between the slices at -5 and +5 of the coarse series
    far[0, 3, 3] = True  # at z = -30
    coarse = Grid((4, 40, 40), affine_from_parts([-20, -20, -5], np.eye(3), [1, 1, 10]))
    shown = regrid(found(thin, far), coarse)
    (lesion,) = shown.detections.instances
    assert lesion.mask.sum() == 12
    assert np.array_equal(lesion.box[[0, 1, 3, 4]], [6, 5, 9, 9])
    assert shown.notes == ("said", "1 of 2 lesions lie outside of the series that is shown")
    nothing = regrid(found(far), coarse)
    assert len(nothing.detections) == 0
    assert not nothing.segmentation.voxels.any()
