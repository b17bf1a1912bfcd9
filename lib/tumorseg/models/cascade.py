"""``cascade``: the gate says which slices show tumour, a ResUNet marks it on those and on no other.

As published for the LGG data set: two networks trained apart, the second on slices with tumour only. A slice that the
gate does not pass costs nothing more and cannot be marked in vain; a tumour that the gate misses is lost.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tumorseg.geometry import Grid
from tumorseg.models.base import Progress
from tumorseg.models.engines.rung import lower_name
from tumorseg.models.gate import build as build_gate
from tumorseg.models.slice_classifier import SlicewiseClassifier
from tumorseg.models.slicewise import SlicewiseModel, SlicewiseSpec
from tumorseg.types import Prediction, Stage, StudyImage

if TYPE_CHECKING:
    from torch import nn


def network() -> nn.Module:
    """Return the second stage's untrained network, ``(B, 3, H, W)`` -> ``(B, 1, H, W)`` logits."""
    from tumorseg.networks.resunet import ResUNet

    return ResUNet(in_channels=3)


SPEC = SlicewiseSpec(
    name="cascade",
    description="Two stages as published: a classifier picks the slices with tumour, a ResUNet marks it on them",
    network=network,
    slices=1,
    stride=16,
    mirror=False,  # the published network and nothing around it, so that comparisons hold
)


@dataclass(frozen=True)
class Cascade:
    """A :class:`tumorseg.models.base.Model` of two.

    Attributes:
        gate: chooses the slices.
        marker: marks the tumour on them.
    """

    gate: SlicewiseClassifier
    marker: SlicewiseModel
    dimension: int = 3

    @property
    def name(self) -> str:
        """Registry name."""
        return self.marker.name

    @property
    def description(self) -> str:
        """One sentence for a viewer's list."""
        return self.marker.description

    @property
    def channels(self) -> tuple[str, ...]:
        """Sequences of both stages."""
        return self.marker.channels

    @property
    def labels(self) -> Mapping[str, int]:
        """Label name -> value."""
        return self.marker.labels

    @property
    def weights(self) -> Path:
        """The second stage's file; the gate has its own."""
        return self.marker.weights

    @property
    def version(self) -> str:
        """Identifies the weights of both stages."""
        both = f"{self.gate.version} {self.marker.version}"
        return hashlib.sha256(both.encode()).hexdigest()[:12]

    def warm_up(self) -> None:
        """Load both networks, so that the first request does not pay for it."""
        empty = StudyImage(np.zeros((1, 1, 256, 256), np.uint8), Grid((1, 256, 256), np.eye(4)), ("",))
        self.gate.classify(empty)
        self.marker.warm_up()

    def predict(self, image: StudyImage, *, progress: Progress | None = None) -> Prediction:
        """Segment ``image``; the notes and the stages say how many slices passed the gate."""
        started = time.perf_counter()
        total = 0

        def half(done: int, count: int) -> None:
            nonlocal total
            total = count
            if progress:
                progress(done, 2 * count)

        def rest(done: int, count: int) -> None:
            if progress:
                progress(2 * total - count + done, 2 * total)

        found = self.gate.classify(image, progress=half)
        passed = found.scores >= self.gate.threshold
        gated = time.perf_counter()
        answer = self.marker.predict(image, progress=rest, only=passed)
        share = f"{int(passed.sum())} of {passed.size} slices"
        marked = int(np.count_nonzero(answer.segmentation.voxels))
        stages = (
            Stage(self.gate.name, self.gate.version, f"{share} reach the score of {self.gate.threshold:.2f}"),
            Stage(f"{self.name} (ResUNet)", self.marker.version, f"{marked} voxels marked on them"),
        )
        return replace(
            answer,
            version=self.version,
            rung=lower_name(found.rung, answer.rung),
            notes=(
                *dict.fromkeys(answer.notes + found.notes),
                f"the gate passed {share}; the others were not segmented",
            ),
            latencies={"gate": gated - started, **answer.latencies},
            stages=stages,
        )


def build(weights: Path | None = None, device: str = "auto") -> Cascade:
    """Return both stages; ``weights`` are the second one's, the shipped ones by default."""
    return Cascade(build_gate(device=device), SlicewiseModel(SPEC, weights, device))
