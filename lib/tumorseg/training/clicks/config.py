"""What a training of the click head needs to know."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from tumorseg.transforms.augment import AugmentConfig


@dataclass(frozen=True)
class Stage:
    """A part of the run with windows of one depth: thin ones teach the border cheaply, deep ones the neighbours.

    Attributes:
        until: the stage ends at this part of the run, in (0, 1].
        depth: slices of a window.
        batch: windows in a batch.
        contested: part of the windows whose truth has a region more or less than the trunk can know.
        near: how much more a voxel at the newest click counts than one far from it.
    """

    until: float
    depth: int
    batch: int
    contested: float = 0.0
    near: float = 0.0


@dataclass(frozen=True)
class ClickConfig:
    """A recipe.

    Attributes:
        epochs: length of the run; the learning rate follows it. It is fixed beforehand and the average of the last
            weights is the result, so that no patient chooses the moment to stop.
        batches: of windows in an epoch, after which the state is written.
        rounds: clicks that are simulated on a batch; every one is a step of the optimiser.
        piece: side of what is cut and augmented, and goes through the trunk, in pixels.
        window: side of what the head sees, in pixels.
        blind: part of the windows in which the head sees none of the trunk's features: those of the training patients
            know the answer, those of other patients do not.
        learning_rate: peak, after ``warmup`` of the run; falls by a half cosine to ``final_rate`` of it.
        ema: decay of the moving average of the weights; the average is what is kept.
        stages: what changes over the run.
    """

    epochs: int = 24
    batches: int = 40
    rounds: int = 3
    piece: int = 192
    window: int = 128
    blind: float = 0.25
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    warmup: float = 0.02
    final_rate: float = 0.01
    ema: float = 0.998
    seed: int = 0
    # A head that begins with contested regions learns slower what most clicks mean; one that never meets them learns to
    # say what the trunk says, and moves nothing but the clicked pixels.
    stages: tuple[Stage, ...] = (
        Stage(7 / 24, 5, 6),
        Stage(0.65, 5, 6, contested=0.6, near=4.0),
        Stage(1.0, 9, 3, contested=0.6, near=4.0),
    )
    augment: AugmentConfig = field(default_factory=lambda: AugmentConfig(neighbour_probability=0.0))

    def stage(self, progress: float) -> Stage:
        """Return the stage at ``progress`` in [0, 1] of the run."""
        return next((stage for stage in self.stages if progress < stage.until), self.stages[-1])

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for the log and the model card."""
        return asdict(self)
