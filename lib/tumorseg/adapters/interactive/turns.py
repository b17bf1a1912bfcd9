"""Where interactive models compute, and whose turn it is.

Concurrency, in one place:

- A click of a model that drives a network (``slow``) is done by the worker of its device, which is the only thread that
  touches it: before the next volume, and between two slices of the volume that is being computed
  (:mod:`tumorseg.adapters.inference.queue`). Looking at an image for the first time is a job of that queue.
- Any other model computes in :data:`WORKERS` threads of this module, fed by a lane of its own: a classical method that
  takes a second holds up neither a network nor the other half of the clicks.
- In both callers take turns, click by click: a request that brings a hundred points at once is a hundred turns.
- Whoever hangs up leaves the line at once. What is being computed for them is finished (it is one click) and kept.
- The event loop only waits. Reading labels and writing answers is done in threads of its own (:data:`HELPERS`), so
  that no click waits for a disk.
- Requests for one session are done one after the other (:mod:`tumorseg.adapters.interactive.sessions`); those for
  different sessions know nothing of each other.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from tumorseg.adapters.inference.lane import Lane
from tumorseg.adapters.inference.queue import MOST_URGENT, InferenceQueue

if TYPE_CHECKING:
    from tumorseg.adapters.inference.report import JobReport
    from tumorseg.interactive.base import Interactive

T = TypeVar("T")
#: Threads for models that drive no network, and for what reads and writes files.
WORKERS, HELPERS = 2, 4


class Turns:
    """See the module.

    Args:
        queue: before the devices.
        device: of the models that drive a network.
    """

    def __init__(self, queue: InferenceQueue, device: str) -> None:
        self.queue, self._device = queue, device
        self._lane = Lane(MOST_URGENT)
        self._lane.observer = self._tell
        self._workers = ThreadPoolExecutor(WORKERS, "interactive")
        self._helpers = ThreadPoolExecutor(HELPERS, "interactive-files")

    async def work(self, model: Interactive, do: Callable[[], T], caller: str) -> T:
        """Have something computed by a model when it is the caller's turn; cancelling hangs up.

        Raises:
            UnavailableError: too much waits, or the server is stopping.
        """
        if model.slow:
            return await self._answer(self.queue.urgent(self._device, model.name, do, caller))
        answer = self._lane.add(model.name, do, caller)
        self._workers.submit(self._lane.run_one)
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
        return await asyncio.wrap_future(self._helpers.submit(do))

    def close(self) -> None:
        """Give up what waits."""
        self._lane.close()
        self._workers.shutdown(wait=False, cancel_futures=True)
        self._helpers.shutdown(wait=False, cancel_futures=True)

    @staticmethod
    async def _answer(future: Future[T]) -> T:
        return await asyncio.wrap_future(future)

    def _tell(self, report: JobReport) -> None:
        """Count with the inferences of the queue."""
        if self.queue.observer is not None:
            self.queue.observer(report)
