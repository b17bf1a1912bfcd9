"""The architectures: as published, the right shapes, every weight reached by the gradient."""

import pytest
import torch
from torch import nn

from tumorseg.networks.fcn32s import FCN32s
from tumorseg.networks.resunet import ResidualBlock, ResUNet
from tumorseg.networks.resunet25d import ResUNet25D
from tumorseg.networks.tiny import TinyUNet
from tumorseg.networks.unet import UNet

NETWORKS = [(ResUNet(), 3), (ResUNet25D(), 9), (UNet(), 3), (FCN32s(), 3), (TinyUNet(), 3)]


@pytest.mark.parametrize(("network", "channels"), NETWORKS)
@pytest.mark.parametrize("size", [(256, 256), (64, 96)])
def test_logits_have_the_size_of_the_input(network, channels, size):
    with torch.inference_mode():
        assert network.eval()(torch.zeros(2, channels, *size)).shape == (2, 1, *size)


@pytest.mark.parametrize(("network", "channels"), NETWORKS)
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


def test_unet_is_drawn_as_published_and_thinner():
    wide, thin = UNet(width=64), UNet()
    assert [block[0].out_channels for block in wide.down] == [128, 256, 512, 1024]
    assert [grow.out_channels for grow in wide.grow] == [512, 256, 128, 64]
    assert sum(p.numel() for p in thin.parameters()) == 1_942_577


def test_fcn32s_is_a_vgg16_with_one_upsampling():
    network = FCN32s(width=64)
    widths = [m.out_channels for m in network.features if isinstance(m, nn.Conv2d)]
    assert widths == [64] * 2 + [128] * 2 + [256] * 3 + [512] * 6
    assert sum(isinstance(m, nn.MaxPool2d) for m in network.features) == 5
    fc = [m for m in network.classifier if isinstance(m, nn.Conv2d)]
    assert [(m.out_channels, m.kernel_size) for m in fc] == [(1024, (7, 7)), (1024, (1, 1))]
    with torch.inference_mode():
        coarse = network.eval().score(network.classifier(network.features(torch.zeros(1, 3, 64, 96))))
    assert coarse.shape == (1, 1, 2, 3)
