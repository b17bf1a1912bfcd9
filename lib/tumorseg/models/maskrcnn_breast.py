"""``maskrcnn_breast``: benign and malignant lesions in ultrasound pictures of the breast."""

from __future__ import annotations

from pathlib import Path

from tumorseg.models.detection_options import DetectionOptions
from tumorseg.models.detector import DetectorModel, DetectorSpec

SPEC = DetectorSpec(
    name="maskrcnn_breast",
    description="Mask R-CNN for breast ultrasound: benign and malignant lesions",
    labels=(("benign", 1), ("malignant", 2)),
    modalities=("US",),
    preference=("",),  # ultrasound has no sequences: the picture itself
    options=DetectionOptions(score=0.4),  # of those with the best Dice on the validation pictures the highest
)


def build(weights: Path | None = None, device: str = "auto") -> DetectorModel:
    """Return the model with its shipped weights or those in ``weights``."""
    return DetectorModel(SPEC, weights, device)
