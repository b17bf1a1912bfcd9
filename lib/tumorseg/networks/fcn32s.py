"""FCN-32s (Long, Shelhamer, Darrell 2015): a VGG-16 without its pooling to one vector, and one upsampling by 32.

Thirteen 3x3 convolutions in five stages, each followed by 2x2 max pooling; "fc6" as a 7x7 and "fc7" as a 1x1
convolution with dropout; a 1x1 score layer; bilinear upsampling by 32 (section 4.1: the 32x stream is a fixed
bilinear one). What differs from the paper: batch norm, as it is trained from random weights; padding that keeps the
size in place of the paper's padding by 100; and widths set by ``width`` (64 in VGG-16).
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

#: Convolutions of each VGG-16 stage and their width in units of the first one's.
STAGES = ((2, 1), (2, 2), (3, 4), (3, 8), (3, 8))
CLASSIFIER_WIDTH = 16  # fc6 and fc7, in the same unit; 64 in VGG-16
DROPOUT = 0.5


class FCN32s(nn.Module):
    """``(B, in_channels, H, W)`` -> ``(B, 1, H, W)`` logits; H and W divisible by 32.

    Args:
        in_channels: of the input.
        width: channels of the first stage; 64 is VGG-16.
    """

    stride = 32

    def __init__(self, in_channels: int = 3, width: int = 16) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = in_channels
        for convolutions, factor in STAGES:
            for _ in range(convolutions):
                layers += _conv(inputs, factor * width, 3)
                inputs = factor * width
            layers.append(nn.MaxPool2d(2))
        wide = CLASSIFIER_WIDTH * width
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            *_conv(inputs, wide, 7), nn.Dropout2d(DROPOUT), *_conv(wide, wide, 1), nn.Dropout2d(DROPOUT)
        )
        self.score = nn.Conv2d(wide, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        score = self.score(self.classifier(self.features(x)))
        return F.interpolate(score, scale_factor=32, mode="bilinear", align_corners=False)


def _conv(inputs: int, outputs: int, size: int) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
