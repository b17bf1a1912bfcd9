"""``maskrcnn_brain``: tumours in pictures and slices of the head, of any plane and MR sequence."""

from __future__ import annotations

from pathlib import Path

from tumorseg.models.detection_options import DetectionOptions
from tumorseg.models.detector import DetectorModel, DetectorSpec

SPEC = DetectorSpec(
    name="maskrcnn_brain",
    description="Mask R-CNN for tumours in MR pictures of the head, any plane; volumes are read slice by slice",
    labels=(("tumour", 1),),
    options=DetectionOptions(score=0.8),  # the best F1 on the validation pictures
)


def build(weights: Path | None = None, device: str = "auto") -> DetectorModel:
    """Return the model with its shipped weights or those in ``weights``."""
    return DetectorModel(SPEC, weights, device)
