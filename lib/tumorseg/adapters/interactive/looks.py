"""What a model knows of an image before anybody clicked, made once for everybody who looks at it.

The image is read as for a segmentation: the sequences that the model wants, through the same memory of decoded images,
and brought onto the grid that is shown, so that a viewer's voxel is the model's. A model that drives a network looks in
the queue before its device, any other in the lane of the clicks.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tumorseg.adapters.grids import ImagePlace
from tumorseg.interactive.pause import pausing_for
from tumorseg.io.files import digest
from tumorseg.io.memory_cache import MemoryCache

if TYPE_CHECKING:
    from tumorseg.adapters.inference.subject import Subject
    from tumorseg.adapters.interactive.turns import Turns
    from tumorseg.interactive.base import Encoded, Interactive
    from tumorseg.types import StudyImage


@dataclass(frozen=True, eq=False)
class Look:
    """An image as an interactive model knows it.

    Attributes:
        key: the same for the same content on the same grid, seen by the same version of a model.
        state: stands for the content of the image in a log.
        encoded: what the model made of it.
        place: the grid that is shown.
        notes: what a reader should know about the image.
    """

    key: Hashable | None
    state: str
    encoded: Encoded
    place: ImagePlace
    notes: tuple[str, ...]

    @property
    def nbytes(self) -> int:
        """Memory that it holds."""
        return self.encoded.nbytes


class Looks:
    """The looks used last, up to a number of bytes.

    Args:
        turns: where the work is done.
        device: of the models that drive a network.
        max_bytes: of all looks that are kept.

    Attributes:
        held: looks one up that made way in memory, or never fitted, and that a mask in the making still holds.
    """

    def __init__(self, turns: Turns, device: str, max_bytes: int) -> None:
        self.kept: MemoryCache[Look] = MemoryCache(max_bytes, lambda look: look.nbytes)
        self.held: Callable[[Hashable], Look | None] = lambda key: None
        self._turns, self._device = turns, device

    async def of(self, model: Interactive, subject: Subject, caller: str, steps: dict[str, float]) -> Look:
        """Return what a model knows of an image, from memory where it is there.

        Args:
            model: which one.
            subject: the image.
            caller: who asks; callers take turns.
            steps: the seconds of waiting and looking are added.
        """
        task = LookTask(model, subject, self._device, self.kept)
        known = (self.kept.peek(task.key) or self.held(task.key)) if task.key is not None else None
        if known is not None:
            return known
        if model.slow:
            look, waited, took = await asyncio.wrap_future(self._turns.queue.submit(task, None, caller))
        else:
            look, waited, took = await self._turns.work(model, task.alone, caller)
        steps["queued"] = steps.get("queued", 0.0) + waited
        steps["encode"] = steps.get("encode", 0.0) + took
        found: Look = look
        return found


class LookTask:
    """See :class:`tumorseg.adapters.inference.job.Task`.

    Args:
        model: what looks.
        subject: at what.
        device: whose worker it needs.
        kept: where the result goes.
    """

    def __init__(self, model: Interactive, subject: Subject, device: str, kept: MemoryCache[Look]) -> None:
        self.model, self.device = model.name, device
        self.size, self.nbytes, self.queued_s, self.rung, self.stop = 1, 0, 0.0, "full", False
        self.between: Callable[[], None] = lambda: None
        known = subject.fingerprint is not None
        self.key: Hashable | None = ("look", model.name, model.version, subject.fingerprint) if known else None
        self.group: Hashable | None = None
        self._model, self._subject, self._kept = model, subject, kept
        self._image: StudyImage | None = None
        self._look: Look | None = None
        self._seconds = 0.0

    def prepare(self) -> None:
        """Read the image onto the grid that is shown."""
        from tumorseg.models.regrid import on_grid

        image, shown = self._subject.read(self._model.channels or None)
        self._image = on_grid(image, shown)
        self.size, self.nbytes = shown.shape[0], self._image.voxels.nbytes

    def run(self, group: Sequence[LookTask]) -> list[Exception | None]:
        """Let the model look, one image at a time; in its pauses the clicks of others are answered."""
        begin = time.perf_counter()
        with pausing_for(self.between):
            self._look = self._kept.get(self.key, self._encoded) if self.key is not None else self._encoded()
        self._seconds = time.perf_counter() - begin
        return [None]

    def finish(self) -> None:
        """Nothing is left to do."""

    def answer(self, wanted: Any) -> tuple[Look, float, float]:
        """Return the look, and the seconds of waiting and of looking."""
        assert self._look is not None
        return self._look, self.queued_s, self._seconds

    def alone(self) -> tuple[Look, float, float]:
        """Do all of it in this thread."""
        begin = time.perf_counter()
        look = self._made() if self.key is None else self._kept.get(self.key, self._made)
        return look, 0.0, time.perf_counter() - begin

    def _made(self) -> Look:
        self.prepare()
        return self._encoded()

    def _encoded(self) -> Look:
        image, self._image = self._image, None
        assert image is not None
        encoded = self._model.encode(image)
        place = ImagePlace(image.grid, image.placed and image.spacing_known)
        notes: tuple[str, ...] = getattr(encoded, "notes", image.notes)  # some say which sequences they chose
        return Look(self.key, digest(self._subject.fingerprint), encoded, place, notes)
