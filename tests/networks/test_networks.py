"""The architectures: as published, the right shapes, every weight reached by the gradient."""

import pytest
import torch
from torch import nn

from tumorseg.networks.resunet import ResidualBlock, ResUNet
from tumorseg.networks.resunet25d import ResUNet25D


@pytest.mark.parametrize(("network", "channels"), [(ResUNet(), 3), (ResUNet25D(), 9)])
@pytest.mark.parametrize("size", [(256, 256), (64, 96)])
def test_logits_have_the_size_of_the_input(network, channels, size):
    with torch.inference_mode():
        assert network.eval()(torch.zeros(2, channels, *size)).shape == (2, 1, *size)


@pytest.mark.parametrize(("network", "channels"), [(ResUNet(), 3), (ResUNet25D(), 9)])
def test_every_parameter_gets_a_gradient(network, channels):
    network.train()(torch.randn(2, channels, 64, 64)).square().mean().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


def test_resunet_is_the_published_one():
    network = ResUNet()
    assert sum(p.numel() for p in network.parameters()) == 1_206_129
    assert [m.out_channels for m in network.stem if isinstance(m, nn.Conv2d)] == [16, 16]
    assert [block.shortcut[0].out_channels for block in network.down] == [32, 64, 128, 256]
    assert [block.shortcut[0].out_channels for block in network.up] == [128, 64, 32, 16]
    assert (network.head.in_channels, network.head.out_channels, network.head.kernel_size) == (16, 1, (1, 1))


def test_residual_block_is_the_published_order():
    block = ResidualBlock(8, 4)
    assert [type(m) for m in block.main] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.Conv2d, nn.BatchNorm2d]
    assert [m.kernel_size for m in block.main if isinstance(m, nn.Conv2d)] == [(1, 1), (3, 3)]
    x = torch.randn(2, 8, 16, 16)
    assert torch.equal(block.eval()(x), torch.relu(block.main(x) + block.shortcut(x)))
