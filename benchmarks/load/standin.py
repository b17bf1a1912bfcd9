"""A model that costs nothing, so that ten thousand requests measure the server and not a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from tumorseg.types import FLAIR

if TYPE_CHECKING:
    from tumorseg.models.base import Progress
    from tumorseg.types import Prediction, StudyImage


@dataclass(frozen=True)
class StandIn:
    """Marks every voxel of at least ``threshold`` (in the units of the image)."""

    threshold: float = 900.0
    name: str = "standin"
    version: str = "1"
    description: str = "Marks what is bright; for measuring the server around it."
    channels: tuple[str, ...] = (FLAIR,)
    labels: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({"tumor": 1}))
    dimension: int = 3

    def predict(self, image: StudyImage, *, progress: Progress | None = None) -> Prediction:
        """Compare the first channel with the threshold."""
        import numpy as np

        from tumorseg.types import Prediction, Segmentation

        mask = (image.voxels[0] >= self.threshold).astype(np.uint8)
        return Prediction(Segmentation(mask, image.grid, self.labels), self.name, self.version, (), {"network": 0.0})


def build(weights: Path | None = None, device: str = "auto") -> StandIn:
    """Build the stand-in; there is nothing to load."""
    return StandIn()
