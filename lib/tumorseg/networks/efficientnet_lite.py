"""EfficientNet-Lite0 (Tan and Le 2019, without squeeze-and-excite and with ReLU6) as a source of feature maps.

The batch norm of an ImageNet network would stay frozen while it is tuned on a few hundred pictures, and a frozen one
is a multiplication and an addition: it is folded into the convolution before it. That trains the same function, in
two thirds of the time on a CPU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

if TYPE_CHECKING:
    from torch import Tensor

NAME = "tf_efficientnet_lite0"  # "tf": padded as TensorFlow does, as the published weights want it
#: Channels of the maps at a 4th, 8th, 16th and 32nd of the input's resolution.
CHANNELS = (24, 40, 112, 320)
#: In a block each convolution with the batch norm behind it; blocks that do not expand lack the last pair.
PAIRS = {
    "InvertedResidual": (("conv_pw", "bn1"), ("conv_dw", "bn2"), ("conv_pwl", "bn3")),
    "DepthwiseSeparableConv": (("conv_dw", "bn1"), ("conv_pw", "bn2")),
}


class EfficientNetLite0(nn.Module):
    """``(B, 3, H, W)`` -> four maps ``(B, CHANNELS[n], H / 2 ** (n + 2), W / 2 ** (n + 2))``; H, W divisible by 32."""

    def __init__(self) -> None:
        super().__init__()
        import timm

        self.body = timm.create_model(NAME, features_only=True, out_indices=(1, 2, 3, 4), pretrained=False)
        self.folded = False

    def fold(self) -> EfficientNetLite0:
        """Merge every batch norm into the convolution before it; for good, weights of before no longer fit."""
        if not self.folded:
            _fold(self.body, "conv_stem", "bn1")
            for block in self.body.modules():
                for convolution, norm in PAIRS.get(type(block).__name__, ()):
                    _fold(block, convolution, norm)
            self.folded = True
        return self

    def forward(self, x: Tensor) -> list[Tensor]:
        """See the class."""
        maps: list[Tensor] = self.body(x)
        return maps


def _fold(block: nn.Module, convolution: str, norm: str) -> None:
    before, after = getattr(block, convolution), getattr(block, norm)
    setattr(block, convolution, fuse_conv_bn_eval(before.eval(), after.eval()))
    setattr(block, norm, after.act)
