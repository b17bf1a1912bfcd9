"""The gate as published: ResNet-50 (He et al. 2016) on one slice, "tumour or not"."""

from __future__ import annotations

from torch import Tensor, nn


class GateResNet50(nn.Module):
    """``(B, 3, H, W)`` -> ``(B, 1, 1, 1)`` logits, in training and in evaluation; any H and W from 32 on.

    torchvision's ResNet-50 with one output instead of a thousand, under torchvision's names.
    """

    stride = 32

    def __init__(self) -> None:
        super().__init__()
        from torchvision.models import resnet50  # heavy: not before a network is built

        self.trunk = resnet50(weights=None, num_classes=1)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        logits: Tensor = self.trunk(x)
        return logits[..., None, None]
