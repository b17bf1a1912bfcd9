"""The shipped gate: does a slice show tumour? A light ImageNet network that looks at the slice between its neighbours.

EfficientNet-Lite0 (Tan and Le 2019, without squeeze-and-excitation) as the trunk. Its last feature map, one cell for
32 x 32 pixels, is judged cell by cell, and the cells are put together by a smooth maximum (Pinheiro and Collobert
2015, "From image-level to pixel-level labeling with convolutional networks", eq. 6): a small tumour in one corner is
not averaged away, and in training the cells can be told where the tumour is.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

TRUNK = "tf_efficientnet_lite0"
CELL = 32
DROPOUT = 0.2
#: r of the smooth maximum: 0 would be the mean of the cells, infinity the largest one.
SHARPNESS = 4.0


class Gate(nn.Module):
    """``(B, slices * channels, H, W)`` -> logits; H and W divisible by 32.

    In evaluation ``(B, 1, 1, 1)``, one for the slice; in training ``(B, 1, H / 32, W / 32)``, one for each cell.
    :func:`pool_cells` makes the one of the other. The input channels are ordered slice by slice.
    """

    stride = CELL
    trunk: Any

    def __init__(self, channels: int = 3, slices: int = 3) -> None:
        super().__init__()
        import timm  # seconds to import: not before a network is built

        self.trunk = timm.create_model(TRUNK, pretrained=False, num_classes=0, in_chans=channels * slices)
        self.head = nn.Sequential(nn.Dropout2d(DROPOUT), nn.Conv2d(self.trunk.num_features, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        cells: Tensor = self.head(self.trunk.forward_features(x))
        return cells if self.training else pool_cells(cells)


def pool_cells(cells: Tensor) -> Tensor:
    """Smooth maximum of ``(B, 1, h, w)`` logits, ``(B, 1, 1, 1)``: ``log(mean(exp(r z))) / r``."""
    scaled = (SHARPNESS * cells.float()).flatten(2)
    top = scaled.amax(dim=2, keepdim=True)  # taken out, so that exp does not overflow
    return (((scaled - top).exp().mean(dim=2, keepdim=True).log() + top) / SHARPNESS)[..., None]


def widen_stem(weight: Tensor, slices: int) -> Tensor:
    """Spread a first convolution's ``(O, C, h, w)`` over neighbouring slices, ``(O, slices * C, h, w)``.

    The middle slice keeps half of the weight and the others share the rest, so that a slice between copies of itself
    is answered as before.
    """
    if slices == 1:
        return weight
    share = torch.full((slices,), 0.5 / (slices - 1))
    share[slices // 2] = 0.5
    return torch.cat([weight * part for part in share], dim=1)
