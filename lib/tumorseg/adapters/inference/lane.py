"""Short work that goes before the queue: an answer to a click, which must not wait behind somebody's whole volume.

A lane only says whose turn it is. Who does the work, in which thread and when, is whoever calls :meth:`Lane.run_one`:
the worker of a device between two slices, or a thread of a pool for what needs no device.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from tumorseg.adapters.inference.board import SOONEST_S, stopping
from tumorseg.adapters.inference.fair import FairLine
from tumorseg.adapters.inference.report import JobReport
from tumorseg.errors import UnavailableError

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class _Work:
    """One piece of work.

    Attributes:
        model: name, for reports.
        do: what is to be done.
        answer: given to who asked; cancelling it takes the work out of the lane.
        since: when it was asked for, s on the monotonic clock.
    """

    model: str
    do: Callable[[], Any]
    answer: Future[Any] = field(default_factory=Future)
    since: float = field(default_factory=time.monotonic)


class Lane:
    """See the module; safe to use from several threads. Callers take turns.

    Args:
        capacity: how much may wait, and half of it of one caller; more is refused.

    Attributes:
        observer: told of all that is over or refused, from any thread; must be quick.
    """

    def __init__(self, capacity: int) -> None:
        self.observer: Callable[[JobReport], None] = lambda report: None
        self._capacity, self._closed = capacity, False
        self._line: FairLine[_Work] = FairLine()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        with self._lock:
            return len(self._line)

    def add(self, model: str, do: Callable[[], Any], caller: str = "") -> Future[Any]:
        """Let work wait for its turn.

        Raises:
            UnavailableError: too much waits, or the server is stopping.
        """
        work = _Work(model, do)
        with self._lock:
            if self._closed:
                raise stopping()
            waiting, own = len(self._line), self._line.of(caller)
            full = waiting >= self._capacity or own >= max(1, self._capacity // 2)
            if not full:
                self._line.add(caller, work)
        if full:
            self._tell(JobReport(model, 0.0, 0.0, "refused"))
            said = f"{waiting} clicks wait already, {own} of them from here: try again"
            raise UnavailableError(said, retry_after=SOONEST_S)
        work.answer.add_done_callback(lambda answer: self._gone(work))
        return work.answer

    def run_one(self) -> bool:
        """Do the next piece of work in this thread; False where there was none."""
        with self._lock:
            if not len(self._line):
                return False
            work = self._line.take()
        if work.answer.set_running_or_notify_cancel():
            self._run(work)
        return True

    def run_waiting(self) -> None:
        """Do what waits now, and not what comes meanwhile: between two slices the next slice has its turn too."""
        for _ in range(len(self)):
            self.run_one()

    def close(self) -> None:
        """Take nothing new and give up what waits."""
        with self._lock:
            self._closed = True
            left = list(self._line)
            for work in left:
                self._line.remove(work)
        for work in left:
            if work.answer.set_running_or_notify_cancel():
                work.answer.set_exception(stopping())

    def _run(self, work: _Work) -> None:
        begin = time.monotonic()
        try:
            found = work.do()
        except BaseException as error:
            self._over(work, begin, "failed")
            work.answer.set_exception(error)
        else:
            self._over(work, begin, "done")
            work.answer.set_result(found)

    def _over(self, work: _Work, begin: float, outcome: str) -> None:
        self._tell(JobReport(work.model, begin - work.since, time.monotonic() - begin, outcome))

    def _tell(self, report: JobReport) -> None:
        """Tell the observer; what it raises is its own affair, and nobody waits for ever because of it."""
        try:
            self.observer(report)
        except Exception:
            logger.exception("the observer of the clicks failed")

    def _gone(self, work: _Work) -> None:
        """Take out what nobody waits for any more."""
        if not work.answer.cancelled():
            return
        with self._lock:
            waited = self._line.remove(work)
        if waited:
            self._over(work, time.monotonic(), "cancelled")
