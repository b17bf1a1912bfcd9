"""``unet``: the plain U-Net, one slice at a time; the classic that others are compared with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tumorseg.models.slicewise import SlicewiseModel, SlicewiseSpec

if TYPE_CHECKING:
    from torch import nn


def network() -> nn.Module:
    """Return the untrained network, ``(B, 3, H, W)`` -> ``(B, 1, H, W)`` logits."""
    from tumorseg.networks.unet import UNet

    return UNet(in_channels=3)


SPEC = SlicewiseSpec(
    name="unet",
    description="U-Net for lower-grade glioma: FLAIR abnormality on T1, FLAIR and post-contrast T1",
    network=network,
    slices=1,
    stride=16,
    mirror=False,  # the published network and nothing around it, so that comparisons hold
)


def build(weights: Path | None = None, device: str = "auto") -> SlicewiseModel:
    """Return the model with its shipped weights or those in ``weights``."""
    return SlicewiseModel(SPEC, weights, device)
