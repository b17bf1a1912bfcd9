"""The gates' networks: shapes, pooling by hand, and a stem spread over slices that answers as before."""

import math

import pytest
import torch

from tumorseg.networks.gate import SHARPNESS, Gate, pool_cells, widen_stem
from tumorseg.networks.gate_resnet50 import GateResNet50


def test_one_logit_a_slice_and_one_a_cell_in_training():
    network, x = Gate(channels=2, slices=3), torch.randn(2, 6, 64, 96)
    assert network.train()(x).shape == (2, 1, 2, 3)
    with torch.no_grad():
        assert network.eval()(x).shape == (2, 1, 1, 1)


def test_the_published_one_has_one_logit_a_slice():
    network = GateResNet50().eval()
    with torch.no_grad():
        assert network(torch.randn(2, 3, 64, 32)).shape == (2, 1, 1, 1)


def test_pooling_lies_between_mean_and_maximum():
    cells = torch.tensor([[[[0.0, 2.0], [0.0, 0.0]]]])
    expected = math.log((3 + math.exp(2 * SHARPNESS)) / 4) / SHARPNESS
    assert pool_cells(cells).item() == pytest.approx(expected)
    assert cells.mean() < pool_cells(cells) < cells.max()
    assert pool_cells(torch.full((1, 1, 5, 7), -3.0)).item() == pytest.approx(-3.0)


def test_pooling_of_large_logits_is_finite():
    assert torch.isfinite(pool_cells(torch.full((1, 1, 9, 9), 1e4))).all()


def test_a_wide_stem_answers_a_slice_between_its_copies_as_before():
    torch.manual_seed(0)
    weight, x = torch.randn(4, 3, 3, 3), torch.randn(1, 3, 8, 8)
    wide = widen_stem(weight, 3)
    assert wide.shape == (4, 9, 3, 3)
    same = torch.nn.functional.conv2d(torch.cat([x, x, x], dim=1), wide)
    assert torch.allclose(same, torch.nn.functional.conv2d(x, weight), atol=1e-5)
    assert torch.equal(widen_stem(weight, 1), weight)
