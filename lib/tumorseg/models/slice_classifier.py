"""Classifiers that look at a volume slice by slice, prepared as for the networks that mark voxels."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tumorseg.models.base import Progress
from tumorseg.models.engines.base import Look
from tumorseg.models.engines.rung import said
from tumorseg.models.metadata import identify, read_metadata, read_number
from tumorseg.models.preparation import prepare
from tumorseg.models.slicewise import CONTRAST_KEY, SlicewiseSpec
from tumorseg.types import SliceScores, StudyImage

if TYPE_CHECKING:
    from tumorseg.models.engines.base import SliceEngine

#: Where the weights' file names none.
DEFAULT_THRESHOLD = 0.5


class SlicewiseClassifier:
    """A :class:`tumorseg.models.classifier.SliceClassifier` made of a spec and a file of weights.

    The file also says from which score on a slice counts (``threshold`` in its metadata): that is chosen on the
    validation patients of the training that made the weights.

    Args:
        spec: which network; it says one number of a slice, ``(B, slices * C, H, W)`` -> ``(B, 1, 1, 1)`` logits.
        weights: safetensors file; the shipped one by default.
        device: ``"auto"`` (a GPU when there is one), ``"cpu"``, ``"cuda"``, ``"cuda:1"``.
    """

    def __init__(self, spec: SlicewiseSpec, weights: Path | None = None, device: str = "auto") -> None:
        self.spec, self.device = spec, device
        self.weights, self.version = identify(spec.name, weights, spec.weights)
        self.name, self.description, self.channels = spec.name, spec.description, spec.channels
        self.contrast = read_metadata(self.weights).get(CONTRAST_KEY, "none")
        self.threshold = read_number(self.weights, "threshold", DEFAULT_THRESHOLD)

    @cached_property
    def _engine(self) -> SliceEngine:
        from tumorseg.models.engines import make_engine  # heavy: only when the first image comes

        return make_engine(self.spec, self.weights, self.device)

    def classify(self, image: StudyImage, *, progress: Progress | None = None) -> SliceScores:
        """Score every slice of ``image`` along its most axial axis."""
        prepared = prepare(image, self.channels, self.spec.stride, self.contrast)
        look = Look(self.spec, prepared.slices, progress, whole=True)
        self._engine.look([look])
        if look.error is not None:
            raise look.error
        scores = np.ascontiguousarray(prepared.along(look.probability))
        rung, notes = said(look.rung)
        return SliceScores(scores, prepared.axis, self.name, self.version, prepared.notes + notes, rung)
