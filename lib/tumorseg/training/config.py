"""What a training run needs to know, one typed object; the shipped recipes are instances of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from tumorseg.transforms.augment import AugmentConfig


@dataclass(frozen=True)
class Stage:
    """A part of the run at one resolution.

    Progressive resizing (Tan and Le 2021, EfficientNetV2, section 4.2): early steps on small pictures are cheap and
    learn what a tumour is; the last ones learn its border.

    Attributes:
        until: the stage ends at this part of the run, in (0, 1].
        zoom: output pixels per pixel of the data.
        size: side of the training crop in output pixels.
    """

    until: float
    zoom: float
    size: int


@dataclass(frozen=True)
class TrainConfig:
    """A recipe.

    Attributes:
        loss: name in :data:`tumorseg.training.losses.LOSSES`.
        epochs: the longest run; an epoch is ``steps_per_epoch`` batches.
        patience: stop after this many epochs without a better validation loss (early stopping).
        batch: slices a step, of which ``tumour_fraction`` show tumour; 1 trains and validates on those alone.
        learning_rate: peak, after ``warmup`` of the run; decays by a half cosine to ``final_rate`` of it.
        ema: decay of the exponential moving average of the weights; the average is what is validated and kept.
        stages: resolutions over the run.
    """

    loss: str = "focal_tversky"
    epochs: int = 120
    steps_per_epoch: int = 100
    patience: int = 20
    batch: int = 16
    tumour_fraction: float = 0.65
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    warmup: float = 0.02
    final_rate: float = 0.01
    ema: float = 0.998
    seed: int = 0
    stages: tuple[Stage, ...] = (Stage(0.55, 0.5, 96), Stage(1.0, 1.0, 192))
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def stage(self, progress: float) -> Stage:
        """Return the stage at ``progress`` in [0, 1] of the run."""
        return next((stage for stage in self.stages if progress < stage.until), self.stages[-1])

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for the log and the model card."""
        return asdict(self)
