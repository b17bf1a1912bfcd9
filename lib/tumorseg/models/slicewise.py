"""Models that look at a volume slice by slice, from any grid and back to exactly that grid.

The way of an image through :meth:`SlicewiseModel.predict`:

1. the wanted sequences are chosen, with the data set's fallback (:mod:`tumorseg.models.channels`);
2. axes are permuted and flipped to the nearest axial orientation, an exact change (:func:`tumorseg.geometry.to_axial`);
3. pixels far from the size the network was trained on are resampled in the plane, nothing else is;
4. z-score over the foreground, per channel;
5. the box around the head is cut out of the air (:func:`tumorseg.transforms.crop.head_box`);
6. its slices go through the network, where the model says so also mirrored left to right, and the two probabilities
   are averaged;
7. specks beside a lesion are taken off, where the model says so;
8. cut, resampling and reorientation are undone on the *probability*, which is then compared with the threshold.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tumorseg.errors import InputError, UnavailableError
from tumorseg.geometry import Grid, resample, to_axial
from tumorseg.models.base import Progress
from tumorseg.models.channels import select_channels
from tumorseg.transforms.components import specks
from tumorseg.transforms.crop import head_box
from tumorseg.transforms.intensity import zscore_foreground
from tumorseg.types import FLAIR, T1, T1GD, Prediction, Segmentation, StudyImage

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    from tumorseg.models.engines.base import SliceEngine

WEIGHTS = Path(__file__).parent / "weights"
THRESHOLD = 0.5
#: What is left out of the mask keeps some probability, but not enough to come back when it is resampled.
BELOW_THRESHOLD = 0.49
# TCGA-LGG was scanned with a field of view of 220 to 240 mm on 256 pixels; scale augmentation covers a quarter around.
TRAINED_PIXEL_MM = 0.9
PIXEL_TOLERANCE = 0.25
MIN_SIDE = 32


@dataclass(frozen=True)
class SlicewiseSpec:
    """What distinguishes one slice-wise model from another.

    Attributes:
        name: registry name; also the stem of the shipped weights.
        description: one sentence for a viewer's list.
        network: makes the untrained network ``(B, slices * C, H, W)`` -> ``(B, 1, H, W)`` logits.
        slices: neighbouring slices in one input (odd).
        channels: sequences, in order.
        labels: name -> value.
        stride: H and W are padded to a multiple of this.
        mirror: whether the mirror image is looked at too (twice the work, a little more Dice).
        min_part: connected parts smaller than this share of the largest are taken for specks and left out.
    """

    name: str
    description: str
    network: Callable[[], nn.Module]
    slices: int = 1
    channels: tuple[str, ...] = (T1, FLAIR, T1GD)
    labels: tuple[tuple[str, int], ...] = (("tumour", 1),)
    stride: int = 32
    mirror: bool = True
    min_part: float = 0.0

    @property
    def weights(self) -> Path:
        """Where the shipped weights lie."""
        return WEIGHTS / f"{self.name}.safetensors"


def preprocess(image: StudyImage) -> NDArray[np.float32]:
    """The one chain of training, validation and inference: ``(C, K, J, I)`` axial voxels, normalised."""
    voxels = image.voxels
    if voxels.dtype.kind == "f" and not np.isfinite(voxels).all():
        bad = int((~np.isfinite(voxels)).sum())
        raise InputError(f"{bad} voxels are not finite (NaN or infinity); repair the image before it is segmented")
    return zscore_foreground(voxels)


class SlicewiseModel:
    """A :class:`tumorseg.models.base.Model` made of a spec and a file of weights.

    Args:
        spec: which model.
        weights: safetensors file; the shipped one by default.
        device: ``"auto"`` (a GPU when there is one), ``"cpu"``, ``"cuda"``, ``"cuda:1"``.
    """

    dimension = 3

    def __init__(self, spec: SlicewiseSpec, weights: Path | None = None, device: str = "auto") -> None:
        self.spec, self.device = spec, device
        self.weights = Path(weights) if weights is not None else spec.weights
        if not self.weights.is_file():
            raise UnavailableError(f"no weights for {spec.name} at {self.weights}: train it or pass --weights FILE")
        self.name, self.description, self.channels = spec.name, spec.description, spec.channels
        self.labels: Mapping[str, int] = dict(spec.labels)
        self.version = hashlib.sha256(self.weights.read_bytes()).hexdigest()[:12]

    @cached_property
    def _engine(self) -> SliceEngine:
        from tumorseg.models.engines import make_engine  # heavy: only when the first image comes

        return make_engine(self.spec, self.weights, self.device)

    def warm_up(self) -> None:
        """Load the network and run one empty slice, so that the first request does not pay for it."""
        self.predict(StudyImage(np.zeros((1, 1, 256, 256), np.uint8), Grid((1, 256, 256), np.eye(4)), ("",)))

    def predict(self, image: StudyImage, *, progress: Progress | None = None) -> Prediction:
        """Segment ``image``; the label map and the probability lie on the image's own grid."""
        started = time.perf_counter()
        chosen = select_channels(image, self.channels)
        turn = to_axial(chosen.grid)
        axial = replace(chosen, voxels=turn.apply(chosen.voxels), grid=turn.grid(chosen.grid))
        working = _working_grid(axial)
        if working is not axial.grid:
            voxels = np.stack([resample(channel, axial.grid, working) for channel in axial.voxels])
            axial = replace(axial, voxels=voxels, grid=working)
        rows, columns = head_box(axial.voxels, self.spec.stride)
        prepared = preprocess(axial)[..., rows, columns]
        before = time.perf_counter()
        probability = np.zeros(axial.grid.shape, np.float32)
        probability[:, rows, columns] = self._engine(prepared, progress)
        after = time.perf_counter()
        small = specks(probability >= THRESHOLD, self.spec.min_part)
        probability[small] = np.minimum(probability[small], BELOW_THRESHOLD)
        target = turn.grid(image.grid)
        if working is not target:
            probability = resample(probability, working, target)
        probability = turn.invert(probability)
        voxels = (probability >= THRESHOLD).view(np.uint8) * np.uint8(self.labels["tumour"])
        segmentation = Segmentation(voxels, image.grid, self.labels, probability)
        done = time.perf_counter()
        latencies = {"pre": before - started, "network": after - before, "post": done - after}
        return Prediction(segmentation, self.name, self.version, chosen.notes, latencies)


def _working_grid(image: StudyImage) -> Grid:
    """The axial grid the network sees: the image's own unless its pixels are far from those of the training data."""
    grid = image.grid
    if not image.spacing_known:
        return grid
    ratio = [mm / TRAINED_PIXEL_MM for mm in grid.spacing[:2]]
    if all(1 - PIXEL_TOLERANCE <= r <= 1 + PIXEL_TOLERANCE for r in ratio):
        return grid
    columns, rows = (max(MIN_SIDE, round(n * r)) for n, r in zip(grid.shape[:0:-1], ratio, strict=True))
    scale = np.diag([grid.shape[2] / columns, grid.shape[1] / rows, 1.0, 1.0])
    scale[:2, 3] = [(grid.shape[2] / columns - 1) / 2, (grid.shape[1] / rows - 1) / 2]  # same edges, other centres
    return Grid((grid.shape[0], rows, columns), grid.affine @ scale)
