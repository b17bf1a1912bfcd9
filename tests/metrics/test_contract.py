"""What every metric of the registry keeps to."""

from math import isfinite, isnan

import numpy as np
import pytest

from tests.metrics.masks import pair
from tumorseg.metrics.pair import Pair
from tumorseg.registry import METRICS, resolve

DISTANCES = {"hd95_mm"}  # 0 is perfect and there is no upper end; of all others 1 is perfect and 0 the worst


@pytest.fixture(params=sorted(METRICS))
def named(request):
    return request.param, resolve(METRICS, "metric", request.param)


def random_pair(seed, spacing=(4.0, 1.0, 0.8)):
    rng = np.random.default_rng(seed)
    truth = np.zeros((6, 16, 18), bool)
    truth[1:4, 3:9, 4:12] = True
    truth[5, 12:15, 1:4] = True
    return Pair(truth, truth ^ (rng.random(truth.shape) < 0.1), spacing)


def test_what_is_the_same_is_perfect(named):
    name, metric = named
    ours = random_pair(0)
    assert metric(Pair(ours.truth, ours.truth, ours.spacing)) == (0.0 if name in DISTANCES else 1.0)


@pytest.mark.parametrize("seed", range(3))
def test_a_plain_number_in_its_range_that_a_mirror_does_not_change(named, seed):
    name, metric = named
    ours = random_pair(seed)
    value = metric(ours)
    assert type(value) is float
    assert isfinite(value)
    assert value > 0
    assert name in DISTANCES or value < 1
    mirrored = Pair(ours.truth[::-1, :, ::-1], ours.found[::-1, :, ::-1], ours.spacing)
    assert metric(mirrored) == pytest.approx(value)


@pytest.mark.parametrize(
    ("truth", "found"), [([], []), ([(0, 0, 0)], []), ([], [(2, 2, 2)])], ids=["both empty", "missed", "invented"]
)
def test_an_empty_mask_has_an_end_of_the_range_or_is_not_defined(named, truth, found):
    name, metric = named
    value = metric(pair(truth, found, spacing=(1.0, 1.0, 1.0)))
    assert isnan(value) or (name not in DISTANCES and value in (0.0, 1.0))
    assert not (value == 1.0 and (truth or found))


def test_no_spacing_is_no_error(named):
    _, metric = named
    value = metric(random_pair(0, spacing=None))
    assert isnan(value) or value == metric(random_pair(0))


def test_the_masks_are_left_as_they_are(named):
    _, metric = named
    ours = random_pair(1)
    before = ours.truth.copy(), ours.found.copy()
    metric(ours)
    assert np.array_equal(ours.truth, before[0])
    assert np.array_equal(ours.found, before[1])
