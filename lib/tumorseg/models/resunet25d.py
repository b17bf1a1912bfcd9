"""``resunet25d``: a residual U-Net that sees each slice between its neighbours. The default model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tumorseg.models.slicewise import SlicewiseModel, SlicewiseSpec

if TYPE_CHECKING:
    from torch import nn


def network() -> nn.Module:
    """Return the untrained network, ``(B, 9, H, W)`` -> ``(B, 1, H, W)`` logits."""
    from tumorseg.networks.resunet25d import ResUNet25D

    return ResUNet25D(channels=3, slices=3)


SPEC = SlicewiseSpec(
    name="resunet25d",
    description="2.5-D residual U-Net for lower-grade glioma: FLAIR abnormality on T1, FLAIR and post-contrast T1",
    network=network,
    slices=3,
    stride=32,
    # Both were chosen on the validation patients. A satellite lesion below a twentieth of the main one is lost by it.
    mirror=True,
    min_part=0.05,
)


def build(weights: Path | None = None, device: str = "auto") -> SlicewiseModel:
    """Return the model with its shipped weights or those in ``weights``."""
    return SlicewiseModel(SPEC, weights, device)
