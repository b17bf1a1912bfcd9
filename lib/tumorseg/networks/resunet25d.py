"""A residual U-Net that sees a slice with its two neighbours and does its work at half the resolution.

Against the published ResUNet: three slices instead of one (2.5-D), so that a vessel or a sulcus is told from a tumour
by what lies above and below; pixels folded into channels before the first convolution and unfolded after the last
(Shi et al. 2016, sub-pixel convolution), which spends the arithmetic on width instead of on the finest grid; two 3x3
convolutions in each residual block (He et al. 2016).
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTHS = (24, 48, 96, 192, 256)
FOLD = 2


class DoubleBlock(nn.Module):
    """Two 3x3 convolutions with batch norm around an identity or 1x1 shortcut.

    ``(B, inputs, H, W)`` -> ``(B, outputs, H, W)``.
    """

    def __init__(self, inputs: int, outputs: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Dropout2d(dropout),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return F.relu(self.main(x) + self.shortcut(x))


class ResUNet25D(nn.Module):
    """``(B, slices * channels, H, W)`` -> ``(B, 1, H, W)`` logits of the middle slice; H and W divisible by 32.

    The input channels are ordered slice by slice: below (towards the feet), middle, above.
    """

    stride = 32

    def __init__(self, channels: int = 3, slices: int = 3, dropout: float = 0.1) -> None:
        super().__init__()
        self.fold = nn.PixelUnshuffle(FOLD)
        self.stem = nn.Conv2d(channels * slices * FOLD**2, WIDTHS[0], 3, padding=1)
        self.first = DoubleBlock(WIDTHS[0], WIDTHS[0])
        steps = list(pairwise(WIDTHS))
        self.down = nn.ModuleList(DoubleBlock(a, b, dropout if b >= 192 else 0.0) for a, b in steps)
        self.up = nn.ModuleList(DoubleBlock(b + a, a) for a, b in reversed(steps))
        self.head = nn.Conv2d(WIDTHS[0], FOLD**2, 1)
        self.unfold = nn.PixelShuffle(FOLD)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        skips = [self.first(self.stem(self.fold(x)))]
        for block in self.down:
            skips.append(block(F.max_pool2d(skips[-1], 2)))
        y = skips.pop()
        for block in self.up:
            y = block(torch.cat([F.interpolate(y, scale_factor=2), skips.pop()], dim=1))
        logits: Tensor = self.unfold(self.head(y))
        return logits
