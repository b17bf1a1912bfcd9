"""The contract of every model, whatever it is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

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


class Started(Protocol):
    """A study on its way through a :class:`StagedModel`.

    Attributes:
        size: slices that the network has to look at.
        nbytes: memory that it holds.
        error: what ended :meth:`StagedModel.look` for this study alone.
    """

    error: Exception | None

    @property
    def size(self) -> int: ...  # noqa: D102

    @property
    def nbytes(self) -> int: ...  # noqa: D102


@runtime_checkable
class StagedModel(Model, Protocol):
    """A model whose work is in three steps, of which only the second needs the device: ``predict`` is all three.

    A server takes the first and the last step elsewhere, so that the device waits for nothing, and the second for
    several studies at once.
    """

    def begin(self, image: StudyImage, *, progress: Progress | None = None, **options: Any) -> Started:
        """Bring ``image`` to what the network sees; ``options`` as for ``predict``."""
        ...

    def look(self, started: Sequence[Any]) -> None:
        """Run the network over all of them; one whose ``progress`` raises keeps the error, the others go on."""
        ...

    def finish(self, started: Any) -> Prediction:
        """Turn what the network said into the answer, on the image's own grid."""
        ...
