"""Distances between surfaces, measured by hand."""

from math import isnan

import numpy as np
import pytest

from tests.metrics.masks import pair
from tumorseg.errors import InputError
from tumorseg.metrics.pair import Pair
from tumorseg.metrics.surface import hd95_mm, surface_dice


def test_two_voxels_are_as_far_apart_as_their_centres():
    # 2 steps of 5 mm along k, 1 of 3 mm along j: sqrt(100 + 9)
    ours = pair([(0, 0, 0)], [(2, 1, 0)], spacing=(5.0, 3.0, 1.0))
    assert hd95_mm(ours) == pytest.approx(np.sqrt(109))


def test_the_same_mask_is_at_distance_zero():
    voxels = [(0, 0, 0), (1, 1, 1)]
    assert hd95_mm(pair(voxels, voxels, spacing=(5.0, 1.0, 1.0))) == 0.0


def test_a_row_of_voxels_by_percentile():
    # Truth: i = 0 of 100 rows. Found: the same, and one voxel 9 mm away. 1 of 101 distances is not 0, so the 95th
    # percentile of found -> truth is 0; without the percentile it would be 9.
    truth = np.zeros((1, 100, 10), bool)
    truth[0, :, 0] = True
    found = truth.copy()
    found[0, 50, 9] = True
    assert hd95_mm(Pair(truth, found, (1.0, 1.0, 1.0))) == 0.0
    # Shifted by 2 voxels of 1.5 mm, every distance is 3 mm.
    assert hd95_mm(Pair(truth, np.roll(truth, 2, axis=2), (1.0, 1.0, 1.5))) == pytest.approx(3.0)


def test_both_directions_count():
    # Found is one end of a line of 21 voxels: found -> truth is 0 everywhere, truth -> found runs from 0 to 20.
    truth = np.ones((1, 1, 21), bool)
    found = np.zeros_like(truth)
    found[0, 0, 0] = True
    assert hd95_mm(Pair(truth, found, (1.0, 1.0, 1.0))) == pytest.approx(19.0)
    assert hd95_mm(Pair(found, truth, (1.0, 1.0, 1.0))) == pytest.approx(19.0)


def test_the_inside_of_a_mask_does_not_count():
    cube = np.zeros((7, 7, 7), bool)
    cube[1:6, 1:6, 1:6] = True
    hollow = cube.copy()
    hollow[3, 3, 3] = False
    # The hole's surface is seen from inside: the six faces around it, 2 voxels from the cube's own surface at most.
    assert 0 < hd95_mm(Pair(cube, hollow, (1.0, 1.0, 1.0))) + 1e-9 <= 2


@pytest.mark.parametrize(
    ("truth", "found", "spacing"),
    [([], [(0, 0, 0)], (1, 1, 1)), ([(0, 0, 0)], [], (1, 1, 1)), ([(0, 0, 0)], [(0, 0, 0)], None)],
)
def test_not_defined_without_spacing_or_with_an_empty_mask(truth, found, spacing):
    assert isnan(hd95_mm(pair(truth, found, spacing=spacing)))


def test_surface_dice_by_hand():
    # Two of three surface voxels lie on each other; the third ones are 2 steps of 1.5 mm apart from the nearest.
    ours = pair([(0, 0, 0), (0, 1, 0), (0, 2, 0)], [(0, 0, 0), (0, 1, 0), (0, 1, 2)], spacing=(5.0, 3.0, 1.5))
    assert surface_dice(ours, 0.0) == pytest.approx(4 / 6)
    assert surface_dice(ours, 2.99) == pytest.approx(4 / 6)
    assert surface_dice(ours, 3.0) == 1.0  # the tolerance itself is enough


def test_surface_dice_of_empty_masks_is_like_dice():
    assert surface_dice(pair([], [], spacing=(1.0, 1.0, 1.0))) == 1.0
    assert surface_dice(pair([(0, 0, 0)], [], spacing=(1.0, 1.0, 1.0))) == 0.0
    assert surface_dice(pair([], [(0, 0, 0)], spacing=(1.0, 1.0, 1.0))) == 0.0
    assert isnan(surface_dice(pair([], [])))


@pytest.mark.parametrize("tolerance", [-1.0, np.nan, np.inf])
def test_a_tolerance_is_a_distance(tolerance):
    with pytest.raises(InputError, match="expected a tolerance in mm"):
        surface_dice(pair([], [], spacing=(1.0, 1.0, 1.0)), tolerance)


@pytest.mark.parametrize("seed", range(4))
def test_both_are_what_monai_says(seed):
    import torch
    from monai.metrics import compute_hausdorff_distance, compute_surface_dice

    spacing = (4.0, 0.9, 1.3)
    ours = two_blobs(seed, spacing)
    found, truth = (torch.from_numpy(mask.astype(np.float32))[None, None] for mask in (ours.found, ours.truth))
    theirs = compute_hausdorff_distance(found, truth, include_background=True, percentile=95, spacing=list(spacing))
    assert hd95_mm(ours) == pytest.approx(float(theirs), abs=1e-5)
    for tolerance in (0.0, 1.0, 2.0, 6.0):
        theirs = compute_surface_dice(found, truth, [tolerance], include_background=True, spacing=list(spacing))
        assert surface_dice(ours, tolerance) == pytest.approx(float(theirs), abs=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_surface_dice_rises_with_the_tolerance_and_is_the_same_both_ways(seed):
    ours = two_blobs(seed, (4.0, 0.9, 1.3))
    values = [surface_dice(ours, tolerance) for tolerance in (0.0, 1.0, 2.0, 4.0, 8.0, 100.0)]
    assert values == sorted(values)
    assert values[-1] == 1.0
    assert surface_dice(Pair(ours.found, ours.truth, ours.spacing), 2.0) == values[2]


def two_blobs(seed, spacing):
    """Return two ragged ellipsoids beside each other that touch the border of the volume."""
    rng = np.random.default_rng(seed)
    k, j, i = np.indices((9, 30, 24))
    masks = []
    for _ in range(2):
        middle, half = rng.uniform((2, 8, 8), (6, 16, 16)), rng.uniform((2, 5, 5), (5, 12, 12))
        radius = sum(((x - m) / h) ** 2 for x, m, h in zip((k, j, i), middle, half, strict=True))
        masks.append(radius + rng.normal(0, 0.1, radius.shape) < 1)
    return Pair(*masks, spacing)
