"""What several test rooms share: a small model that keeps the whole contract and needs no weights."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from unittest import mock

import numpy as np

from tumorseg import registry
from tumorseg.errors import InputError
from tumorseg.models.base import Progress
from tumorseg.models.channels import select_channels
from tumorseg.types import FLAIR, Prediction, Segmentation, StudyImage

#: What a server (another process) is told, so that it knows the stand-in too: ``--conf extra_models ...``.
EXTRA_MODELS = "threshold=tests.support:build_threshold"


@dataclass(frozen=True)
class ThresholdModel:
    """A real model of the contract in models/base.py: the tumour is where the first wanted channel is bright.

    Attributes:
        threshold: a voxel of at least this value is tumour (in the units of the image).
        pause: seconds that one prediction takes at least; lets a test look at a busy server.
    """

    threshold: float = 500.0
    pause: float = 0.0
    name: str = "threshold"
    description: str = "Marks what is bright; for tests only."
    channels: tuple[str, ...] = (FLAIR,)
    labels: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({"tumor": 1}))
    dimension: int = 3

    @property
    def version(self) -> str:
        """First 12 hex digits of the SHA-256 of what the answer depends on."""
        return hashlib.sha256(f"{self.threshold}".encode()).hexdigest()[:12]

    def predict(self, image: StudyImage, *, progress: Progress | None = None) -> Prediction:
        """Threshold the first wanted channel on the image's own grid; a missing one falls back as for every model."""
        chosen = select_channels(image, self.channels)
        seen = chosen.voxels[0]
        if not np.isfinite(seen).all():
            raise InputError("expected finite voxels, got NaN or infinity: repair the image first")
        time.sleep(self.pause)
        mask = (seen >= self.threshold).astype(np.uint8)
        if progress is not None:
            progress(mask.shape[0], mask.shape[0])
        segmentation = Segmentation(mask, image.grid, self.labels)
        return Prediction(segmentation, self.name, self.version, chosen.notes, {"network": self.pause})


def build_threshold(weights: Path | str | None = None, device: str = "auto") -> ThresholdModel:
    """Factory for the registry; ``weights`` may hold the threshold as text, else it is 500."""
    return ThresholdModel(float(Path(weights).read_text()) if weights else 500.0)


def build_bright(weights: Path | str | None = None, device: str = "auto") -> ThresholdModel:
    """Marks the tumour of tests/dicom/phantoms.py and not its cyst, which is bright as well."""
    return ThresholdModel(threshold=700.0)


def build_slow(weights: Path | str | None = None, device: str = "auto") -> ThresholdModel:
    """Like :func:`build_threshold`, but an inference takes two seconds."""
    return ThresholdModel(pause=2.0, name="slow")


@contextmanager
def extra_model(name: str = "threshold", factory: str = "tests.support:build_threshold") -> Iterator[str]:
    """Make ``name`` known to the registry and the default while the block runs."""
    with mock.patch.dict(registry.MODELS, {name: factory}), mock.patch.object(registry, "DEFAULT_MODEL", name):
        yield name
