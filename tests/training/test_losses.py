"""Losses against values computed by hand."""

import math

import pytest
import torch

from tumorseg.training.losses import FULL_CELL, LOSSES, dice_bce, focal_tversky, gate_bce, slice_bce, tversky_index


def logits(probabilities):
    return torch.logit(torch.tensor(probabilities, dtype=torch.float64)).reshape(1, 1, 1, -1)


def target(values):
    return torch.tensor(values, dtype=torch.float64).reshape(1, 1, 1, -1)


def test_tversky_index_by_hand():
    # hit 0.8 + 0.6, missed 0.2 + 0.4, in vain 0.1 + 0.3
    index = tversky_index(logits([0.8, 0.6, 0.1, 0.3]), target([1, 1, 0, 0]), alpha=0.7, smooth=0.0)
    assert float(index) == pytest.approx(1.4 / (1.4 + 0.7 * 0.6 + 0.3 * 0.4))


def test_alpha_one_half_is_soft_dice():
    index = tversky_index(logits([0.8, 0.6, 0.1, 0.3]), target([1, 1, 0, 0]), alpha=0.5, smooth=0.0)
    assert float(index) == pytest.approx(2 * 1.4 / (1.8 + 2))


def test_focal_tversky_by_hand():
    index = (1.4 + 1) / (1.4 + 0.7 * 0.6 + 0.3 * 0.4 + 1)
    loss = focal_tversky(logits([0.8, 0.6, 0.1, 0.3]), target([1, 1, 0, 0]))
    assert float(loss) == pytest.approx((1 - index) ** 0.75)


def test_dice_bce_by_hand():
    cross_entropy = -sum(math.log(p) for p in (0.8, 0.6, 0.9, 0.7)) / 4
    loss = dice_bce(logits([0.8, 0.6, 0.1, 0.3]), target([1, 1, 0, 0]))
    assert float(loss) == pytest.approx(1 - (1.4 + 1) / (1.9 + 1) + cross_entropy)


def test_a_slice_counts_whole_by_hand():
    """One cell for a whole slice: its logit is the slice's."""
    shown, empty = torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)
    shown[0, 0, 1, 2] = 1
    cell = torch.logit(torch.tensor([[[[0.8]]]]))
    assert float(slice_bce(cell, shown)) == pytest.approx(-math.log(0.8), rel=1e-5)
    assert float(slice_bce(cell, empty)) == pytest.approx(-math.log(0.2), rel=1e-5)


def test_the_gate_s_cells_are_told_what_share_of_them_is_tumour():
    """Two cells of 8 x 8 pixels; two pixels of the first are tumour, half of what makes a cell count fully."""
    masks = torch.zeros(1, 1, 8, 16)
    masks[0, 0, 0, :2] = 1
    share = FULL_CELL * 2 / 64
    assert share == 0.5
    cells = torch.logit(torch.tensor([[[[0.7, 0.1]]]]))
    of_cells = -(share * math.log(0.7) + (1 - share) * math.log(0.3) + math.log(0.9)) / 2
    assert float(gate_bce(cells, masks) - slice_bce(cells, masks)) == pytest.approx(of_cells, rel=1e-5)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_a_perfect_answer_costs_nothing_and_an_empty_slice_is_finite(name):
    perfect = torch.tensor([20.0, 20, -20, -20]).reshape(1, 1, 1, 4)
    assert float(LOSSES[name](perfect, target([1, 1, 0, 0]).float())) < 0.01
    empty = torch.zeros(1, 1, 8, 8, requires_grad=True)
    loss = LOSSES[name](empty, torch.zeros(1, 1, 8, 8))
    loss.backward()
    assert torch.isfinite(empty.grad).all()
    assert float(empty.grad.sum()) > 0, "an empty slice must push the answer down"
