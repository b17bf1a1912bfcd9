"""Distances between surfaces, measured by hand."""

from math import isnan

import numpy as np
import pytest

from tests.metrics.masks import pair
from tumorseg.metrics.pair import Pair
from tumorseg.metrics.surface import hd95_mm


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
