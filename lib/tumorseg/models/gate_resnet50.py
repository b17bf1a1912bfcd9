"""``gate_resnet50``: the published gate, one slice at a time. No weights of it ship."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tumorseg.models.slice_classifier import SlicewiseClassifier
from tumorseg.models.slicewise import SlicewiseSpec

if TYPE_CHECKING:
    from torch import nn


def network() -> nn.Module:
    """Return the untrained network, ``(B, 3, H, W)`` -> ``(B, 1, 1, 1)`` logits."""
    from tumorseg.networks.gate_resnet50 import GateResNet50

    return GateResNet50()


SPEC = SlicewiseSpec(
    name="gate_resnet50",
    description="ResNet-50 as published: says of every slice whether it shows lower-grade glioma",
    network=network,
    slices=1,
    stride=32,
    mirror=False,
)


def build(weights: Path | None = None, device: str = "auto") -> SlicewiseClassifier:
    """Return the classifier with the weights in ``weights``; none ship."""
    return SlicewiseClassifier(SPEC, weights, device)
