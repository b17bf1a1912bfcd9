"""The contract of every model, whatever it is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

from tumorseg.models.detection_options import DetectionOptions
from tumorseg.types import Prediction, StudyImage

#: Called with (done, total) slices while a model works.
Progress = Callable[[int, int], None]


@runtime_checkable
class Model(Protocol):
    """What the command line, the server and the evaluation need of a model.

    Attributes:
        name: registry name.
        version: identifies the weights (first 12 hex digits of their SHA-256).
        description: one sentence for a viewer's list of models.
        channels: names of the sequences it looks at, in order.
        labels: name -> value in the label map, without the background.
        dimension: 2 or 3, what a viewer is told.
    """

    name: str
    version: str
    description: str
    channels: tuple[str, ...]
    labels: Mapping[str, int]
    dimension: int

    def predict(self, image: StudyImage, *, progress: Progress | None = None) -> Prediction:
        """Segment ``image``; the result lies on the image's own grid, voxel for voxel."""
        ...


@runtime_checkable
class DetectionModel(Model, Protocol):
    """A model that finds single objects: its predictions hold ``detections`` beside their label map.

    Attributes:
        options: what it takes where a request says nothing.
    """

    options: DetectionOptions

    def predict(
        self, image: StudyImage, *, progress: Progress | None = None, options: DetectionOptions | None = None
    ) -> Prediction:
        """Find the objects in ``image``, with the given thresholds or its own."""
        ...
