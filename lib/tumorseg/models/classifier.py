"""The contract of every classifier: what it says of the slices of a volume."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from tumorseg.models.base import Progress
from tumorseg.types import SliceScores, StudyImage


@runtime_checkable
class SliceClassifier(Protocol):
    """What the cascade, the command line and the evaluation need of a classifier.

    Attributes:
        name: registry name.
        version: identifies the weights (first 12 hex digits of their SHA-256).
        description: one sentence.
        channels: names of the sequences it looks at, in order.
        threshold: a slice with at least this score counts as showing what is looked for.
    """

    name: str
    version: str
    description: str
    channels: tuple[str, ...]
    threshold: float

    def classify(self, image: StudyImage, *, progress: Progress | None = None) -> SliceScores:
        """Score every slice of ``image`` along its most axial axis."""
        ...
