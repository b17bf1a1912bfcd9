"""U-Net (Ronneberger, Fischer, Brox 2015) with batch norm, thinner than published: 1.9 million parameters.

Two 3x3 convolutions with ReLU a stage, 2x2 max pooling down, 2x2 transposed convolution up, skips by concatenation,
a 1x1 convolution at the end (figure 1 of the paper). What differs: padded convolutions, so that the answer is as
large as the question; batch norm; and a width of 16 instead of 64, which is that of the ResUNet it is compared with.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

DEPTH = 5


def double_conv(inputs: int, outputs: int) -> nn.Sequential:
    """Two times 3x3 conv, BN, ReLU: ``(B, inputs, H, W)`` -> ``(B, outputs, H, W)``."""
    layers: list[nn.Module] = []
    for first, second in ((inputs, outputs), (outputs, outputs)):
        layers += [nn.Conv2d(first, second, 3, padding=1, bias=False), nn.BatchNorm2d(second), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """``(B, in_channels, H, W)`` -> ``(B, 1, H, W)`` logits; H and W divisible by 16.

    Args:
        in_channels: of the input.
        width: channels of the first stage; each of the four stages below has twice those above it.
    """

    stride = 16

    def __init__(self, in_channels: int = 3, width: int = 16) -> None:
        super().__init__()
        widths = [width * 2**stage for stage in range(DEPTH)]
        self.stem = double_conv(in_channels, width)
        steps = list(pairwise(widths))
        self.down = nn.ModuleList(double_conv(thin, wide) for thin, wide in steps)
        self.grow = nn.ModuleList(nn.ConvTranspose2d(wide, thin, 2, stride=2) for thin, wide in reversed(steps))
        self.up = nn.ModuleList(double_conv(2 * thin, thin) for thin, _ in reversed(steps))
        self.head = nn.Conv2d(width, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        skips = [self.stem(x)]
        for block in self.down:
            skips.append(block(F.max_pool2d(skips[-1], 2)))
        y = skips.pop()
        for grow, block in zip(self.grow, self.up, strict=True):
            y = block(torch.cat([skips.pop(), grow(y)], dim=1))
        logits: Tensor = self.head(y)
        return logits
