"""ResUNet as published for the LGG data set: a U-Net of pre-projected residual blocks, 1.2 million parameters.

The first stage is two 3x3 convolutions of 16 with batch norm; four residual stages of 32, 64, 128 and 256 follow,
each behind a 2x2 max pooling; four upsample-and-concatenate stages lead back to 16; a 1x1 convolution and a sigmoid
end it. The architecture was drawn for inputs of 256 x 256 x 3; any size divisible by 16 works.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTHS = (16, 32, 64, 128, 256)


class ResidualBlock(nn.Module):
    """1x1 conv, BN, ReLU, 3x3 conv, BN; plus a 1x1 conv + BN shortcut; add; ReLU.

    ``(B, inputs, H, W)`` -> ``(B, outputs, H, W)``.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(inputs, outputs, 1),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, padding=1),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return F.relu(self.main(x) + self.shortcut(x))


class ResUNet(nn.Module):
    """``(B, in_channels, H, W)`` -> ``(B, 1, H, W)`` logits; H and W divisible by 16.

    The sigmoid of the published output layer is left to the loss and to :func:`torch.sigmoid` at inference,
    which is the same function and numerically safer.
    """

    stride = 16

    def __init__(self, in_channels: int = 3) -> None:
        super().__init__()
        first = WIDTHS[0]
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, first, 3, padding=1),
            nn.BatchNorm2d(first),
            nn.ReLU(inplace=True),
            nn.Conv2d(first, first, 3, padding=1),
            nn.BatchNorm2d(first),
            nn.ReLU(inplace=True),
        )
        steps = list(pairwise(WIDTHS))
        self.down = nn.ModuleList(ResidualBlock(thin, wide) for thin, wide in steps)
        self.up = nn.ModuleList(ResidualBlock(wide + thin, thin) for thin, wide in reversed(steps))
        self.head = nn.Conv2d(first, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        skips = [self.stem(x)]
        for block in self.down:
            skips.append(block(F.max_pool2d(skips[-1], 2)))
        y = skips.pop()
        for block in self.up:
            y = block(torch.cat([F.interpolate(y, scale_factor=2), skips.pop()], dim=1))
        logits: Tensor = self.head(y)
        return logits
