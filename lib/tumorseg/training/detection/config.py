"""What a training of Mask R-CNN needs to know."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from tumorseg.transforms.augment_picture import PictureAugment


@dataclass(frozen=True)
class DetectionConfig:
    """A recipe.

    Attributes:
        steps: batches; the learning rate decays over them.
        batch: pictures a step.
        steps_per_epoch: after so many the state is written and, where there are pictures for it, validated.
        empty_fraction: part of a batch without any object, where there are such pictures.
        also_share: part of the pictures that comes from a second set, where one is given.
        learning_rate: peak, after ``warmup`` of the run; falls by a half cosine to ``final_rate`` of it.
        backbone_rate: learning rate of the pretrained backbone, relative.
        heads_first: part of the run in which a pretrained backbone stands still (system A trains its heads first).
        ema: decay of the moving average of the weights; the average is what is kept.
    """

    steps: int = 3000
    batch: int = 4
    steps_per_epoch: int = 250
    empty_fraction: float = 0.15
    also_share: float = 0.5
    learning_rate: float = 4e-4
    backbone_rate: float = 0.5
    heads_first: float = 0.0
    weight_decay: float = 0.02
    warmup: float = 0.04
    final_rate: float = 0.02
    ema: float = 0.998
    seed: int = 0
    augment: PictureAugment = field(default_factory=PictureAugment)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for the log and the model card."""
        return asdict(self)
