"""A small U-Net for pictures of 64 x 64: 0.16 million parameters, a training takes seconds on one CPU core.

For simulations, where hundreds of networks are trained; no model ships that is made of it. 2 x 2 pixels are folded
into channels first (Shi et al. 2016 run backwards), then one 3 x 3 convolution with batch norm and leaky ReLU a stage,
2 x 2 max pooling down, nearest neighbour up, skips by addition. Leaky, since so few channels die together: with plain
ReLU some trainings ended with a network that never finds anything.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

WIDTHS = (16, 32, 64, 128)
FOLD = 2


def _block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.1, inplace=True)
    )


class TinyUNet(nn.Module):
    """``(B, in_channels, H, W)`` -> ``(B, 1, H, W)`` logits; H and W divisible by 16."""

    stride = 16

    def __init__(self, in_channels: int = 3) -> None:
        super().__init__()
        steps = list(pairwise(WIDTHS))
        self.stem = nn.Sequential(nn.PixelUnshuffle(FOLD), _block(in_channels * FOLD**2, WIDTHS[0]))
        self.down = nn.ModuleList(_block(thin, wide) for thin, wide in steps)
        self.narrow = nn.ModuleList(nn.Conv2d(wide, thin, 1) for thin, wide in reversed(steps))
        self.up = nn.ModuleList(_block(thin, thin) for thin, _ in reversed(steps))
        self.head = nn.Sequential(nn.Conv2d(WIDTHS[0], FOLD**2, 1), nn.PixelShuffle(FOLD))

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        skips = [self.stem(x)]
        for block in self.down:
            skips.append(block(F.max_pool2d(skips[-1], 2)))
        y = skips.pop()
        for narrow, block in zip(self.narrow, self.up, strict=True):
            y = block(F.interpolate(narrow(y), scale_factor=2) + skips.pop())
        logits: Tensor = self.head(y)
        return logits
