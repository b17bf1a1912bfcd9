"""A model over one image, in the steps of the queue."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tumorseg.adapters.inference.answer import Answer
from tumorseg.adapters.inference.job import StoppedError
from tumorseg.models.base import StagedModel
from tumorseg.models.lesions import measure
from tumorseg.models.regrid import regrid

if TYPE_CHECKING:
    from tumorseg.adapters.inference.subject import Subject
    from tumorseg.adapters.wire import InferResult, ResultFormat
    from tumorseg.geometry import Grid
    from tumorseg.models.base import Model, Started
    from tumorseg.models.detection_options import DetectionOptions
    from tumorseg.types import Prediction, StudyImage


class ModelTask:
    """See :class:`tumorseg.adapters.inference.job.Task`.

    Args:
        name: what the model is called here.
        model: loaded.
        device: whose worker it needs.
        subject: what to look at.
        options: thresholds, for a model that finds objects.
    """

    def __init__(
        self, name: str, model: Model, device: str, subject: Subject, options: DetectionOptions | None = None
    ) -> None:
        self.model, self.device = name, device
        self.size, self.nbytes, self.queued_s, self.rung, self.stop = 1, 0, 0.0, "full", False
        self.between: Callable[[], None] = lambda: None
        self._model, self._subject, self._options = model, subject, options
        weights = (name, model.version)
        # The same weights, content and thresholds give the same answer.
        known = subject.fingerprint is not None
        self.key: Hashable | None = (weights, subject.fingerprint, options) if known else None
        # Only models whose network can be asked on its own take several studies at once.
        self.group: Hashable | None = weights if isinstance(model, StagedModel) else None
        self._image: StudyImage | None = None
        self._started: Started | None = None
        self._found: Prediction | None = None
        self._displayed: Grid | None = None
        self._answer: Answer | None = None
        self._known: dict[str, bool] = {}
        self._steps: dict[str, float] = {}

    def prepare(self) -> None:
        """Read the image and, where the model lets us, bring it to what its network sees."""
        begin = time.perf_counter()
        image, self._displayed = self._subject.read(self._model.channels)
        self._known = {"spacing_known": image.spacing_known, "placed": image.placed}
        if isinstance(self._model, StagedModel):
            self._started = self._model.begin(image, progress=self._progress, **self._thresholds())
            self.size, self.nbytes = self._started.size, self._started.nbytes
        else:
            self._image = image
            self.size, self.nbytes = image.voxels.shape[1], image.voxels.nbytes
        self._steps["pre"] = time.perf_counter() - begin

    def run(self, group: Sequence[ModelTask]) -> list[Exception | None]:
        """Run the network over all tasks of the group."""
        begin = time.perf_counter()
        if isinstance(self._model, StagedModel):
            started = [task._started for task in group]
            self._model.look(started)
            errors = [one.error if one is not None else None for one in started]
        else:
            assert self._image is not None
            self._found = self._model.predict(self._image, progress=self._progress, **self._thresholds())
            self._image, errors = None, [None]
        for task in group:
            task._steps["infer"] = time.perf_counter() - begin
        return errors

    def finish(self) -> None:
        """Bring what was found onto the grid that is shown, and measure it."""
        begin = time.perf_counter()
        if isinstance(self._model, StagedModel):
            self._found, self._started = self._model.finish(self._started), None
        assert self._found is not None
        assert self._displayed is not None
        prediction = regrid(self._found, self._displayed)
        found = prediction.detections
        lesions = measure(found, **self._known) if found is not None else ()
        self._found, self.rung = None, prediction.rung
        self._answer = Answer(self._subject.title, self._model.labels, prediction, lesions, self._options)
        self._steps["infer"] += time.perf_counter() - begin

    def answer(self, wanted: ResultFormat) -> InferResult:
        """Encode it."""
        assert self._answer is not None
        answer = self._answer.encoded(wanted, {"queued": self.queued_s, **self._steps})
        return answer if wanted.leave_out else replace(answer, key=self.key)

    def _thresholds(self) -> dict[str, Any]:
        return {} if self._options is None else {"options": self._options}

    def _progress(self, done: int, total: int) -> None:
        """Between two slices: go no further where nobody waits for the answer, and let a click go before."""
        if self.stop:
            raise StoppedError(f"{self.model} was stopped after {done} of {total} slices: nobody waits for the answer")
        if done < total:
            self.between()
