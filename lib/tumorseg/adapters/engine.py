"""From an image id to an answer: read the study, ask the model, write the label map or the boxes. No MONAI pipeline."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tumorseg.adapters.files import fingerprint
from tumorseg.adapters.images import ImageCache
from tumorseg.adapters.inference.answer import detection_options
from tumorseg.adapters.inference.board import stopping
from tumorseg.adapters.inference.queue import InferenceQueue
from tumorseg.adapters.inference.subject import Subject
from tumorseg.adapters.inference.task import ModelTask
from tumorseg.adapters.models import ModelPool
from tumorseg.adapters.weights_watch import WeightsWatch
from tumorseg.adapters.wire import InferResult, ResultFormat
from tumorseg.errors import UnavailableError

if TYPE_CHECKING:
    from tumorseg.adapters.sources import ImageSource
    from tumorseg.config import AppConfig
    from tumorseg.models.base import Model

T = TypeVar("T")
#: Requests that may be looked at before they are let into the queue, and threads that look.
DOOR, DOORKEEPERS = 256, 2


class Engine:
    """Models over the images of a source.

    Concurrency: see :mod:`tumorseg.adapters.inference.queue`. What a request brings is opened and compared with what is
    in the queue by two threads of its own, the *door*, so that no thread of the server's pool waits for a disk here.
    """

    def __init__(self, config: AppConfig, source: ImageSource) -> None:
        self.source = source
        self.models = ModelPool(config, self._show_noise)
        self._watch = WeightsWatch(self.models)
        self.queue = InferenceQueue(config.max_waiting)
        self._device = config.device
        self._images = ImageCache(source, config.image_cache_mb)
        self._door = ThreadPoolExecutor(DOORKEEPERS, "inference-door")
        self._at_the_door = threading.BoundedSemaphore(DOOR)

    def of_source(self, image_id: str) -> Subject:
        """Look up an image of the source; the answer lies on the grid of exactly this image.

        Raises:
            NotFoundError: there is no such image.
        """
        self.source.entry(image_id)
        state = (image_id, fingerprint(self.source.files(image_id)))
        return Subject(image_id, state, lambda channels: self._images.read(image_id, channels))

    def key_of(self, model: str, image_id: str, wanted: ResultFormat) -> Hashable | None:
        """Return the ``key`` that the answer about an image of the source would have now, without asking for it.

        Raises:
            NotFoundError, InputError: as of :meth:`infer_async`.
        """
        return self._task(model, self.of_source(image_id), wanted).key

    async def infer_async(
        self, model: str, opening: Callable[[], Subject], wanted: ResultFormat, caller: str = ""
    ) -> InferResult:
        """Segment an image, or find what is in it, without holding a thread meanwhile.

        Cancelled, it gives up its work; what ``opening`` opens is then not used any more.

        Args:
            model: name.
            opening: says what to look at; called in a thread, may wait for a disk.
            wanted: form of the answer.
            caller: who asks; callers take turns.

        Raises:
            NotFoundError: the model is not served, or there is no such image.
            InputError: the image cannot be used by this model, or it cannot give the answer that is wanted.
            UnavailableError: too many requests wait, or the server is stopping.
        """
        task = await self.through_the_door(lambda: self._task(model, opening(), wanted))
        result: InferResult = await asyncio.wrap_future(self.queue.submit(task, wanted, caller))
        return result

    def infer(self, model: str, image_id: str, wanted: ResultFormat, caller: str = "") -> InferResult:
        """Do the same and wait for it; for programs that have a thread to spare."""
        return self._wait(model, self.of_source(image_id), wanted, caller)

    def infer_file(self, model: str, path: Path, wanted: ResultFormat, caller: str = "") -> InferResult:
        """Segment a file or folder that is not of the source (a session's image), and wait for it."""
        return self._wait(model, Subject.of_file(path), wanted, caller)

    def cached_bytes(self) -> int:
        """Return the bytes of the decoded images that are kept in memory."""
        return self._images.size()

    def start(self) -> None:
        """Begin to follow the versions of the models that are published or rolled back to, until :meth:`close`."""
        self._watch.start()

    def warm_up(self) -> None:
        """Load the models, the default one first, and let that look at a slice, so that the first request is fast."""
        import tumorseg.io  # noqa: F401  the readers are wanted by the first request too

        name = self.models.names[0]
        self._show_noise(name, self.models.get(name))
        self.models.describe()

    def try_out(self, name: str, weights: Path) -> None:
        """Load a model with other weights and let it look at a slice, in its turn; what is served stays as it is.

        Raises:
            InputError: they are not weights of its network.
        """
        self._show_noise(name, self.models.build(name, weights))

    def _show_noise(self, name: str, model: Model) -> None:
        """Ask a model about a slice that means nothing."""
        import numpy as np

        from tumorseg.geometry import Grid
        from tumorseg.types import StudyImage

        noise = np.random.default_rng(0).random((len(model.channels), 1, 64, 64), dtype=np.float32)
        image = StudyImage(noise, Grid((1, 64, 64), np.eye(4)), model.channels)
        subject = Subject("warm-up", None, lambda _: (image, image.grid))
        wanted = ResultFormat()
        task = ModelTask(name, model, self._device, subject, detection_options(model, wanted))
        self.queue.submit(task, wanted, "warm-up", counted=False).result()

    def close(self, seconds: float = 0.0) -> None:
        """Take nothing new, go on for some seconds with what runs and waits, then give the rest up."""
        self._watch.stop()
        self.queue.close(seconds)
        self._door.shutdown(wait=False, cancel_futures=True)
        self._watch.join()  # only now: a model that was being warmed waited for the queue

    def _task(self, name: str, subject: Subject, wanted: ResultFormat) -> ModelTask:
        model = self.models.get(name)
        return ModelTask(name, model, self._device, subject, detection_options(model, wanted))

    def _wait(self, model: str, subject: Subject, wanted: ResultFormat, caller: str) -> InferResult:
        result: InferResult = self.queue.submit(self._task(model, subject, wanted), wanted, caller).result()
        return result

    async def through_the_door(self, look: Callable[[], T]) -> T:
        """Do in a thread what may wait for a disk.

        Raises:
            UnavailableError: too many requests are being looked at, or the server is stopping.
        """
        if self.queue.closing:
            raise stopping()
        if not self._at_the_door.acquire(blocking=False):
            raise UnavailableError("too many requests at once: try again", retry_after=self.queue.retry_after())
        try:
            looking = self._door.submit(look)
        except RuntimeError:
            self._at_the_door.release()
            raise stopping() from None
        looking.add_done_callback(lambda _: self._at_the_door.release())
        waiting = asyncio.wrap_future(looking)
        try:
            return await asyncio.shield(waiting)
        except asyncio.CancelledError:
            if not looking.cancel():  # it runs: until it is through, what it opens cannot be closed
                await asyncio.wait([waiting])
            raise
