"""What the head is told: folded as PyTorch folds, clicks where they are."""

import numpy as np
import pytest
import torch

from tumorseg.errors import InputError
from tumorseg.interactive.clicks.guide import fold, guide, hints, newest
from tumorseg.interactive.prompts import Click
from tumorseg.networks.clicks import GUIDE, HINTS


def test_folding_is_that_of_the_network_that_unfolds():
    voxels = np.random.default_rng(0).random((2, 3, 6, 8), np.float32)
    assert (fold(voxels) == torch.nn.PixelUnshuffle(2)(torch.from_numpy(voxels)).numpy()).all()


def test_the_guide_has_the_channels_that_the_head_expects():
    told = guide(np.zeros((3, 3, 16, 24)), np.zeros((3, 16, 24), bool), [Click((4, 5, 1))])
    assert told.shape == (3, GUIDE, 8, 12)
    assert hints([Click((4, 5, 1))], (3, 16, 24)).shape[1] == HINTS


@pytest.mark.parametrize("positive", [True, False])
def test_a_click_is_drawn_where_it_is_and_with_its_sign(positive):
    drawn = hints([Click((20, 10, 1), positive)], (3, 32, 48))
    own, other = (0, 2) if positive else (2, 0)
    assert not drawn[:, other : other + 2].any()
    assert not drawn[[0, 2], own].any(), "discs lie on the click's slice only"
    k, j, i = np.unravel_index(drawn[:, own + 1].argmax(), drawn[:, own + 1].shape)
    assert (k, j, i) in {(1, 5, 10), (1, 4, 9), (1, 4, 10), (1, 5, 9)}
    assert drawn[0, own + 1].max() < drawn[1, own + 1].max()
    assert (drawn[:, 5] == (1 if positive else -1)).all()


def test_only_the_newest_click_is_marked_as_such():
    drawn = hints([Click((4, 4, 0)), Click((40, 20, 2), positive=False)], (3, 32, 48))
    k, j, i = np.unravel_index(drawn[:, 4].argmax(), drawn[:, 4].shape)
    assert (k, abs(j - 10) <= 1, abs(i - 20) <= 1) == (2, True, True)


def test_clicks_outside_of_the_window_reach_in_but_draw_no_disc():
    drawn = hints([Click((-6, 8, -1)), Click((8, 8, 1))], (3, 16, 16))
    assert drawn[0, 1, 4, 0] > drawn[2, 1, 4, 0]
    assert not drawn[0, 0].any()


def test_nothing_to_draw_is_an_error():
    with pytest.raises(InputError, match="at least one click"):
        hints([], (1, 8, 8))


def test_how_near_the_newest_click_is_can_be_read_from_the_guide():
    clicks = [Click((4, 4, 0)), Click((40, 20, 2))]
    near = newest(torch.from_numpy(guide(np.ones((3, 3, 32, 48)), np.ones((3, 32, 48), bool), clicks))).numpy()
    assert near.shape == (3, 32, 48)
    assert near[2, 20, 40] == near.max() <= 1
    assert near[2, 20, 30] > near[2, 20, 10] > near[0, 4, 4] > 0
