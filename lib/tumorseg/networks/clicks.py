"""The click network: a trunk that looks at the image once, and a small head that looks at every click.

DeepEdit (Diaz-Pinto et al. 2022) and RITM (Sofiiuk et al. 2021) feed image, mask and clicks through one network for
every click. Here the image goes through the trunk alone, whose features are kept, and the head, a tenth of its work,
sees those features with the mask as it is and the clicks; SAM (Kirillov et al. 2023) divides its work likewise.

Trunk: :class:`tumorseg.networks.resunet25d.ResUNet25D`, frozen. Head: a U-Net of three levels over half the resolution
that works slice by slice and mixes neighbouring slices at its two coarse levels, so that a click on one slice moves
the others too.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tumorseg.networks.resunet25d import FOLD, WIDTHS, DoubleBlock, ResUNet25D

#: Channels of what the trunk says of a slice: at half the resolution, and at a quarter.
FINE, COARSE = WIDTHS[0], WIDTHS[1]
#: Sequences of the image that the head sees itself.
SEQUENCES = 3
#: Channels that say where was clicked (:mod:`tumorseg.interactive.clicks.guide`).
HINTS = 6
#: Pixels of the image folded into channels, of the mask folded into channels, and the hints.
GUIDE = SEQUENCES * FOLD**2 + FOLD**2 + HINTS
HEAD_WIDTHS = (24, 48, 64)
#: Sides of a window are multiples of this.
STRIDE = 8


class Trunk(nn.Module):
    """``(B, 9, H, W)`` -> features ``(B, 24, H / 2, W / 2)``, ``(B, 48, H / 4, W / 4)`` and logits ``(B, 1, H, W)``.

    H and W are divisible by 32; the input is that of :class:`ResUNet25D`, whose state dict it takes.
    """

    stride = ResUNet25D.stride

    def __init__(self) -> None:
        super().__init__()
        self.network = ResUNet25D(channels=SEQUENCES, slices=3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See the class."""
        net = self.network
        skips = [net.first(net.stem(net.fold(x)))]
        for block in net.down:
            skips.append(block(F.max_pool2d(skips[-1], 2)))
        y, kept = skips.pop(), []
        for block in net.up:
            y = block(torch.cat([F.interpolate(y, scale_factor=2), skips.pop()], dim=1))
            kept.append(y)
        return kept[-1], kept[-2], net.unfold(net.head(y))


class Mix(nn.Module):
    """Let every slice hear its two neighbours: ``(B * depth, C, h, w)`` -> the same; the outermost hear one."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(3 * channels, channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor, depth: int | None = None) -> Tensor:
        """See the class; without ``depth`` all slices are of one window."""
        if depth is None or len(x) == depth:
            heard = _heard(x)
        else:
            heard = torch.cat([_heard(window) for window in torch.split(x, depth)])
        return F.relu(x + self.norm(self.mix(heard)))


def _heard(window: Tensor) -> Tensor:
    """``(D, C, h, w)`` -> ``(D, 3 C, h, w)``: the slice below, the slice, the slice above."""
    nothing = torch.zeros_like(window[:1])
    below, above = torch.cat([nothing, window])[:-1], torch.cat([window, nothing])[1:]
    return torch.cat([below, window, above], dim=1)


class ClickHead(nn.Module):
    """``(B * D, 24, h, w)``, ``(B * D, 48, h / 2, w / 2)``, ``(B * D, 22, h, w)`` -> ``(B * D, 1, 2 h, 2 w)`` logits.

    D slices of a window follow each other; h and w are divisible by 4. Inputs: the trunk's fine and coarse features,
    and the guide: image and mask with their pixels folded into channels, and the hints.
    """

    def __init__(self) -> None:
        super().__init__()
        a, b, c = HEAD_WIDTHS
        self.stem = nn.Conv2d(FINE + GUIDE, a, 3, padding=1)
        self.first = DoubleBlock(a, a)
        self.down1, self.mix1 = DoubleBlock(a + COARSE, b), Mix(b)
        self.down2, self.mix2 = DoubleBlock(b, c), Mix(c)
        self.deep, self.mix3 = DoubleBlock(c, c), Mix(c)
        self.up1, self.mix4 = DoubleBlock(c + b, b), Mix(b)
        self.up0 = DoubleBlock(b + a, a)
        self.head = nn.Conv2d(a, FOLD**2, 1)
        self.unfold = nn.PixelShuffle(FOLD)

    def forward(self, fine: Tensor, coarse: Tensor, guide: Tensor, depth: int | None = None) -> Tensor:
        """See the class; ``depth`` is D, all there is where it is not said."""
        top = self.first(self.stem(torch.cat([fine, guide], dim=1)))
        middle = self.mix1(self.down1(torch.cat([F.max_pool2d(top, 2), coarse], dim=1)), depth)
        y = self.mix2(self.down2(F.max_pool2d(middle, 2)), depth)
        y = self.mix3(self.deep(y), depth)
        y = self.mix4(self.up1(torch.cat([F.interpolate(y, scale_factor=2), middle], dim=1)), depth)
        y = self.up0(torch.cat([F.interpolate(y, scale_factor=2), top], dim=1))
        logits: Tensor = self.unfold(self.head(y))
        return logits
