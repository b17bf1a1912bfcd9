"""Models that look at a volume slice by slice, from any grid and back to exactly that grid.

The way of an image through :meth:`SlicewiseModel.predict`:

1. it is brought to the slices that the network sees (:mod:`tumorseg.models.preparation`);
2. these go through the network, where the model says so also mirrored left to right, and the two probabilities are
   averaged;
3. specks beside a lesion are taken off, where the model says so;
4. cut, resampling and reorientation are undone on the *probability*, which is then compared with the threshold.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tumorseg.errors import InputError
from tumorseg.geometry import Grid
from tumorseg.models.base import Progress
from tumorseg.models.engines.base import Look
from tumorseg.models.engines.rung import said
from tumorseg.models.metadata import identify, read_metadata
from tumorseg.models.preparation import Prepared, prepare
from tumorseg.models.started import StartedStudy
from tumorseg.transforms.components import specks
from tumorseg.types import FLAIR, T1, T1GD, Prediction, Segmentation, StudyImage

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    from tumorseg.models.engines.base import SliceEngine

WEIGHTS = Path(__file__).parent / "weights"
THRESHOLD = 0.5
#: Weights say in their metadata what was done to the contrast of the slices that trained them.
CONTRAST_KEY = "preprocess"
#: What is left out of the mask keeps some probability, but not enough to come back when it is resampled.
BELOW_THRESHOLD = 0.49


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


@dataclass(eq=False)
class StartedSlices(StartedStudy[Look]):
    """A study on its way through a slice-wise model.

    Attributes:
        prepared: the image as the network sees it.
    """

    prepared: Prepared


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
        self.weights, self.version = identify(spec.name, weights, spec.weights)
        self.name, self.description, self.channels = spec.name, spec.description, spec.channels
        self.labels: Mapping[str, int] = dict(spec.labels)
        self.contrast = read_metadata(self.weights).get(CONTRAST_KEY, "none")

    @cached_property
    def _engine(self) -> SliceEngine:
        from tumorseg.models.engines import make_engine  # heavy: only when the first image comes

        return make_engine(self.spec, self.weights, self.device)

    def warm_up(self) -> None:
        """Load the network and run one empty slice, so that the first request does not pay for it."""
        self.predict(StudyImage(np.zeros((1, 1, 256, 256), np.uint8), Grid((1, 256, 256), np.eye(4)), ("",)))

    def predict(
        self, image: StudyImage, *, progress: Progress | None = None, only: NDArray[np.bool_] | None = None
    ) -> Prediction:
        """Segment ``image``; the label map and the probability lie on the image's own grid.

        Args:
            image: the study.
            progress: told (done, total) slices.
            only: ``(K,)`` along the image's most axial axis (:class:`tumorseg.types.SliceScores`): slices where this
                is False are not looked at, their probability is 0.
        """
        started = self.begin(image, progress=progress, only=only)
        self.look([started])
        return self.finish(started)

    def begin(
        self, image: StudyImage, *, progress: Progress | None = None, only: NDArray[np.bool_] | None = None
    ) -> StartedSlices:
        """First step: bring ``image`` to the slices that the network sees."""
        begin = time.perf_counter()
        prepared = prepare(image, self.channels, self.spec.stride, self.contrast)
        count = prepared.slices.shape[1]
        if only is not None and only.shape != (count,):
            raise InputError(f"expected a choice of the {count} slices along axis {prepared.axis}, got {only.shape}")
        chosen = None if only is None else prepared.along(only)
        look = Look(self.spec, prepared.slices, progress, chosen)
        return StartedSlices(image.grid, look, {"pre": time.perf_counter() - begin}, prepared)

    def look(self, started: Sequence[StartedSlices]) -> None:
        """Second step: the network, over all of them in one go."""
        begin = time.perf_counter()
        self._engine.look([one.look for one in started])
        for one in started:
            one.latencies["network"] = time.perf_counter() - begin

    def finish(self, started: StartedSlices) -> Prediction:
        """Last step: from the probability of slices to the label map on the image's own grid."""
        if started.error is not None:
            raise started.error
        begin = time.perf_counter()
        prepared, rung = started.prepared, started.look.rung
        probability = prepared.uncut(started.look.probability)
        small = specks(probability >= THRESHOLD, self.spec.min_part)
        probability[small] = np.minimum(probability[small], BELOW_THRESHOLD)
        probability = prepared.restore(probability)
        voxels = (probability >= THRESHOLD).view(np.uint8) * np.uint8(self.labels["tumour"])
        segmentation = Segmentation(voxels, started.grid, self.labels, probability)
        latencies = {**started.latencies, "post": time.perf_counter() - begin}
        name, notes = said(rung)
        return Prediction(segmentation, self.name, self.version, prepared.notes + notes, latencies, rung=name)
