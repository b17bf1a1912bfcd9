"""``gate``: does a slice show tumour? The first stage of the cascade, and of use alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tumorseg.models.slice_classifier import SlicewiseClassifier
from tumorseg.models.slicewise import SlicewiseSpec

if TYPE_CHECKING:
    from torch import nn


def network() -> nn.Module:
    """Return the untrained network, ``(B, 9, H, W)`` -> ``(B, 1, 1, 1)`` logits."""
    from tumorseg.networks.gate import Gate

    return Gate(channels=3, slices=3)


SPEC = SlicewiseSpec(
    name="gate",
    description="Says of every slice whether it shows lower-grade glioma, from T1, FLAIR and post-contrast T1",
    network=network,
    slices=3,
    stride=32,
    mirror=True,
)


def build(weights: Path | None = None, device: str = "auto") -> SlicewiseClassifier:
    """Return the classifier with its shipped weights or those in ``weights``."""
    return SlicewiseClassifier(SPEC, weights, device)
