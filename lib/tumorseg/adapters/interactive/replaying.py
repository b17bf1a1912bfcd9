"""Makes the masks of a label version again from the prompts kept with it, and looks whether they are the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tumorseg.adapters.grids import ImagePlace
from tumorseg.adapters.interactive import starts
from tumorseg.adapters.interactive.looks import Look
from tumorseg.adapters.interactive.records import Segment, read, unpacked
from tumorseg.errors import ConflictError, InputError, NotFoundError, TumorSegError
from tumorseg.interactive.log import PromptLog, replay
from tumorseg.labels.prompt_logs import PromptLogs
from tumorseg.registry import resolve

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from tumorseg.adapters.label_desk import LabelDesk
    from tumorseg.interactive.base import Interactive
    from tumorseg.labels.types import LabelVersion

    Mask = NDArray[np.bool_]

#: ``same``: every step led to the mask that it led to then. ``differs``: one did not. ``gone``: the model, its version
#: or what it began with is not there any more.
Verdict = Literal["same", "differs", "gone"]


@dataclass(frozen=True)
class Replayed:
    """What came of one segment.

    Attributes:
        label: its name.
        model, version: what had answered.
        prompts: how many.
        verdict: see :data:`Verdict`.
        why: of a verdict other than ``same``.
        edited: voxels of the saved label that are other than what the prompts led to: what was changed by hand since;
            None where that is not known.
    """

    label: str
    model: str
    version: str
    prompts: int
    verdict: Verdict
    why: str = ""
    edited: int | None = None


class Replayer:
    """Replays versions of one place.

    Args:
        desk: its labels and images.
        factories: name -> ``module:factory`` of the interactive models.
        device: where networks run.
        weights: name -> weights, of the models whose weights are the user's own.
    """

    def __init__(self, desk: LabelDesk, factories: Mapping[str, str], device: str, weights: Mapping[str, Path]) -> None:
        self._desk, self._factories, self._device, self._weights = desk, factories, device, weights
        self._models: dict[str, Interactive] = {}

    def version(self, image: str, uid: str) -> list[Replayed]:
        """Replay every segment of a version.

        Raises:
            NotFoundError: there is no such version, or nothing was clicked for it.
            InputError: the record is damaged.
        """
        version = self._desk.version(image, uid)
        text = PromptLogs(self._desk.store.history.database).of(version.uid)
        if text is None:
            raise NotFoundError(f"label version {uid} has no prompts: it was drawn, or made by a model alone")
        return [self._segment(version, segment) for segment in read(text)]

    def _segment(self, version: LabelVersion, segment: Segment) -> Replayed:
        log = segment.log
        about = (log.label, log.model, log.version, len(log.steps))
        try:
            model = self._model(log)
            look = self._look(model, version.image)
            start = self._start(model, look, version, segment)
        except (TumorSegError, OSError) as error:
            return Replayed(*about, "gone", str(error))
        try:
            mask = replay(log, model, look.encoded, start)
        except (ConflictError, InputError) as error:
            return Replayed(*about, "differs", str(error))
        return Replayed(*about, "same", edited=self._edited(version, log, look, mask))

    def _model(self, log: PromptLog) -> Interactive:
        if log.model not in self._models:
            factory = resolve(self._factories, "interactive model", log.model)
            self._models[log.model] = factory(weights=self._weights.get(log.model), device=self._device)
        model = self._models[log.model]
        if model.version != log.version:
            raise ConflictError(f"version {log.version} of {log.model} is gone: {model.version} is here now")
        return model

    def _look(self, model: Interactive, image: str) -> Look:
        from tumorseg.models.regrid import on_grid

        read_image, shown = self._desk.source.read(image, model.channels or None)
        placed = on_grid(read_image, shown)
        place = ImagePlace(placed.grid, placed.placed and placed.spacing_known)
        return Look(None, "", model.encode(placed), place, placed.notes)

    def _start(self, model: Interactive, look: Look, version: LabelVersion, segment: Segment) -> Mask:
        log = segment.log
        if segment.start is not None:
            return unpacked(segment.start, log.shape)
        if log.start == starts.NOTHING:
            return starts.nothing(look)[0]
        if log.start == starts.AUTO:
            return starts.proposed(model, look, log.label)[0]
        history = self._desk.store.history
        return starts.mask_of(history, self._desk.version(version.image, log.start), log.label, look, model.labels)

    def _edited(self, version: LabelVersion, log: PromptLog, look: Look, mask: Mask) -> int | None:
        """Count the voxels in which the saved label is another one."""
        import numpy as np

        if version.no_lesion:
            return int(np.count_nonzero(mask))
        try:
            saved = starts.mask_of(self._desk.store.history, version, log.label, look, {log.label: 1})
        except (TumorSegError, OSError):
            return None
        return int(np.count_nonzero(saved ^ mask))
