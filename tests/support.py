"""What several test rooms share: small models that keep the whole contract and need no weights."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING
from unittest import mock

import numpy as np

from tumorseg import registry
from tumorseg.errors import InputError
from tumorseg.models.base import Progress
from tumorseg.models.channels import select_channels
from tumorseg.models.detection_options import DetectionOptions
from tumorseg.models.linking import link_slices
from tumorseg.types import FLAIR, Detections, Instance, Prediction, Segmentation, StudyImage

if TYPE_CHECKING:
    from torch import nn

#: What a server (another process) is told, so that it knows the stand-ins too: ``--conf extra_models ...``.
EXTRA_MODELS = "threshold=tests.support:build_threshold,blobs=tests.support:build_blobs"


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
        if self.pause:
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


@dataclass(frozen=True)
class SteppingModel(ThresholdModel):
    """The same in as many steps as there are slices, a moment for each: what a slow network is like to a queue."""

    def predict(self, image: StudyImage, *, progress: Progress | None = None) -> Prediction:
        """Say after every step that it is done."""
        count = image.voxels.shape[1]
        for k in range(count):
            time.sleep(self.pause)
            if progress is not None:
                progress(k + 1, count)
        return replace(super().predict(image), model=self.name)


def build_steps(weights: Path | str | None = None, device: str = "auto") -> SteppingModel:
    """A tenth of a second for each slice."""
    return SteppingModel(pause=0.1, name="steps")


@dataclass(frozen=True)
class BlobDetector:
    """A real detection model of the contract in models/base.py: an object is a bright blob of a slice.

    Connected pixels of the slices ``k`` of the image itself that are at least as bright as the darkest class become
    instances, linked over slices as every detection model does; the class goes by the brightest pixel.

    Attributes:
        classes: (name, value from which on a blob is of this class), ascending, in the units of the image.
        full: the value at which a blob's score reaches 1; the score is its mean divided by this.
        channels: the first one is looked at; ``("",)`` for a picture, whose first channel counts.
        options: thresholds where a request names none. ``nms`` has nothing to do: blobs do not overlap.
    """

    classes: tuple[tuple[str, float], ...] = (("cyst", 500.0), ("tumor", 700.0))
    full: float = 1000.0
    name: str = "blobs"
    description: str = "Finds bright blobs; for tests only."
    channels: tuple[str, ...] = (FLAIR,)
    dimension: int = 3
    options: DetectionOptions = field(default_factory=lambda: DetectionOptions(link=0.05))

    @property
    def version(self) -> str:
        """First 12 hex digits of the SHA-256 of what the answer depends on."""
        return hashlib.sha256(f"{self.classes} {self.full}".encode()).hexdigest()[:12]

    @property
    def labels(self) -> dict[str, int]:
        """Class name -> 1, 2, … in the order of ``classes``."""
        return {name: value for value, (name, _) in enumerate(self.classes, start=1)}

    def predict(
        self, image: StudyImage, *, progress: Progress | None = None, options: DetectionOptions | None = None
    ) -> Prediction:
        """Find the blobs on the image's own grid."""
        wanted = options or self.options
        chosen = image if self.channels == ("",) else select_channels(image, self.channels)
        seen = chosen.voxels[0]
        per_slice = [self._slice(seen[k], k, wanted) for k in range(len(seen))]
        if progress is not None:
            progress(len(seen), len(seen))
        lesions = link_slices(per_slice, iou=wanted.link, min_slices=wanted.min_slices)
        found = Detections(lesions, image.grid, self.labels)
        return Prediction(found.label_map(), self.name, self.version, chosen.notes, {"network": 0.0}, found)

    def _slice(self, pixels: np.ndarray, k: int, wanted: DetectionOptions) -> list[Instance]:
        """The blobs of one slice ``(J, I)``, the surest first."""
        from scipy import ndimage

        parts, _ = ndimage.label(pixels >= self.classes[0][1])
        blobs = [
            self._instance(pixels, parts == number, where, k)
            for number, where in enumerate(ndimage.find_objects(parts), start=1)
        ]
        sure = sorted((blob for blob in blobs if blob.score >= wanted.score), key=lambda blob: -blob.score)
        return sure[: wanted.max_instances]

    def _instance(self, pixels: np.ndarray, blob: np.ndarray, where: tuple[slice, slice], k: int) -> Instance:
        """One blob ``(J, I)`` bool with its class, score and box."""
        (j, i), values = where, pixels[blob]
        label = next(name for name, value in reversed(self.classes) if values.max() >= value)
        box = np.array([i.start, j.start, k, i.stop, j.stop, k + 1], dtype=np.float64)
        return Instance(
            label, min(1.0, float(values.mean()) / self.full), box, blob[where][None], (k, j.start, i.start)
        )


def build_blobs(weights: Path | str | None = None, device: str = "auto") -> BlobDetector:
    """Finds tumour and cyst of tests/dicom/phantoms.py."""
    return BlobDetector()


def build_picture_blobs(weights: Path | str | None = None, device: str = "auto") -> BlobDetector:
    """Finds what is bright in a PNG or JPEG of 8 bits, grey or colour."""
    classes = (("benign", 120.0), ("malignant", 200.0))
    return BlobDetector(classes, 255.0, "picture_blobs", channels=("",), dimension=2)


@contextmanager
def extra_model(name: str = "threshold", factory: str = "tests.support:build_threshold") -> Iterator[str]:
    """Make ``name`` known to the registry and the default while the block runs."""
    with mock.patch.dict(registry.MODELS, {name: factory}), mock.patch.object(registry, "DEFAULT_MODEL", name):
        yield name


def settled_weights(network: nn.Module, channels: int, file: Path, *, batch: int = 4) -> Path:
    """Write weights that nobody trained, with batch norms that have seen numbers of the usual size.

    The caller seeds torch, before it makes the network.
    """
    import torch

    from tumorseg.training.checkpoint import save_weights

    network.train()
    with torch.no_grad():
        for _ in range(10):
            network(torch.randn(batch, channels, 64, 64))
    save_weights(network.state_dict(), file, half=False, metadata={})
    return file
