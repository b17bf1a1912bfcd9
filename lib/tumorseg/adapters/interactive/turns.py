"""Where interactive models compute, and whose turn it is.

Concurrency, in one place:

- A click of a model that drives a network (``slow``) is done by the worker of its device, which is the only thread that
  touches it: before the next volume, and between two slices of the volume that is being computed
  (:mod:`tumorseg.adapters.inference.queue`). Looking at an image for the first time is a job of that queue.
- Any other model has a lane and :data:`WORKERS` threads of its own: SAM 2, which looks for seconds at a slice that is
  clicked for the first time, holds up neither a network between two slices nor who draws with a classical method.
- In all of them callers take turns, click by click: a request that brings a hundred points at once is a hundred turns.
- Whoever hangs up leaves the line at once. What is being computed for them is finished (it is one click), and only
  then somebody else may change the same mask.
- The event loop only waits. Reading labels and writing answers is done in threads of its own (:data:`HELPERS`), so
  that no click waits for a disk.
- Requests for one session are done one after the other (:mod:`tumorseg.adapters.interactive.sessions`); those for
  different sessions know nothing of each other.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from tumorseg.adapters.inference.board import stopping
from tumorseg.adapters.inference.lane import Lane
from tumorseg.adapters.inference.queue import MOST_URGENT, InferenceQueue

if TYPE_CHECKING:
    from tumorseg.adapters.inference.report import JobReport
    from tumorseg.interactive.base import Interactive

T = TypeVar("T")
#: Threads of each model that computes outside of the queue, and for what reads and writes files.
WORKERS, HELPERS = 2, 4


class _Own:
    """The lane and the threads of one model."""

    def __init__(self, name: str, tell: Callable[[JobReport], None]) -> None:
        self.lane = Lane(MOST_URGENT)
        self.lane.observer = tell
        self.threads = ThreadPoolExecutor(WORKERS, f"interactive-{name}")

    def close(self) -> None:
        self.lane.close()
        self.threads.shutdown(wait=False, cancel_futures=True)


class Turns:
    """See the module.

    Args:
        queue: before the devices.
        device: of the models that drive a network.
    """

    def __init__(self, queue: InferenceQueue, device: str) -> None:
        self.queue, self._device = queue, device
        self._own: dict[str, _Own] = {}
        self._lock, self._closed = threading.Lock(), False
        self._helpers = ThreadPoolExecutor(HELPERS, "interactive-files")

    async def work(self, model: Interactive, do: Callable[[], T], caller: str) -> T:
        """Have something computed by a model when it is the caller's turn; cancelling hangs up.

        Raises:
            UnavailableError: too much waits, or the server is stopping.
        """
        if self.queue.closing:  # a hundred points end after the one that runs, and their caller is told
            raise stopping()
        if model.slow:
            return await self._answer(self.queue.urgent(self._device, model.name, do, caller))
        own = self._of(model.name)
        answer = own.lane.add(model.name, do, caller)
        own.threads.submit(own.lane.run_one)
        return await self._answer(answer)

    async def click(self, model: Interactive, do: Callable[[], T], caller: str, steps: dict[str, float]) -> T:
        """Do the same, and add the seconds of waiting and computing to ``steps``."""
        asked = time.perf_counter()

        def timed() -> tuple[T, float, float]:
            begin = time.perf_counter()
            return do(), begin - asked, time.perf_counter() - begin

        found, waited, took = await self.work(model, timed, caller)
        steps["queued"] = steps.get("queued", 0.0) + waited
        steps["click"] = steps.get("click", 0.0) + took
        return found

    async def aside(self, do: Callable[[], T]) -> T:
        """Do in a thread what reads, writes or packs."""
        return await self._answer(self._helpers.submit(do))

    def close(self) -> None:
        """Give up what waits."""
        with self._lock:
            self._closed = True
            for own in self._own.values():
                own.close()
        self._helpers.shutdown(wait=False, cancel_futures=True)

    def _of(self, name: str) -> _Own:
        """Return the lane and the threads of a model; they are there from its first work on."""
        with self._lock:
            if self._closed:
                raise stopping()
            if name not in self._own:
                self._own[name] = _Own(name, self._tell)
            return self._own[name]

    @staticmethod
    async def _answer(future: Future[T]) -> T:
        answer = asyncio.wrap_future(future)
        try:
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            if not future.cancel():  # it runs, and changes what its caller holds the lock of
                await asyncio.wait([answer])
            raise

    def _tell(self, report: JobReport) -> None:
        """Count with the inferences of the queue."""
        if self.queue.observer is not None:
            self.queue.observer(report)
