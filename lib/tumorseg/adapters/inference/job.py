"""What stands in a queue: jobs, who waits for them, and what a queue asks of their work."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from enum import StrEnum
from typing import Any, Protocol

from tumorseg.adapters.inference.report import JobReport


class StoppedError(Exception):
    """Nobody waits for the answer any more: raised inside of the work, at the next slice."""


class Task(Protocol):
    """One piece of work in four steps.

    Attributes:
        model: name, for reports.
        device: whose worker runs it.
        key: tasks of one key have the same answer; None is like no other.
        group: tasks of one group may share a run; None shares with no other.
        size: slices, known once prepared.
        nbytes: memory it holds, known once prepared.
        queued_s: set by the queue: seconds that it stood in line.
        stop: set by the queue: the work should raise :class:`StoppedError` as soon as it can.
        rung: how far a device without memory made it step down, known once it ran.
        between: set by the queue: does what must not wait for the whole task; to be called between two slices.
    """

    model: str
    device: str
    key: Hashable | None
    group: Hashable | None
    size: int
    nbytes: int
    queued_s: float
    stop: bool
    rung: str
    between: Callable[[], None]

    def prepare(self) -> None:
        """Read and decode; in one of several threads."""
        ...

    def run(self, group: Sequence[Any]) -> list[Exception | None]:
        """Compute all tasks of ``group``, this one among them; in the worker of the device. Say what went wrong."""
        ...

    def finish(self) -> None:
        """Put together what does not depend on how the answer is wanted; in one of several threads."""
        ...

    def answer(self, wanted: Any) -> Any:
        """Put the answer into the wanted form; in one of several threads."""
        ...


class State(StrEnum):
    """Where a job is."""

    WAITING = "waiting"
    READING = "reading"
    READY = "ready"
    RUNNING = "running"
    FINISHING = "finishing"
    OVER = "over"


class Ticket(Future[Any]):
    """One request's claim to an answer; cancelling it is how a client hangs up.

    Attributes:
        task: the request's own, which may never be needed.
        wanted: how the answer is wanted.
        job: what the request waits for; None once it is over.
    """

    def __init__(self, task: Task, wanted: Any) -> None:
        super().__init__()
        self.task, self.wanted = task, wanted
        self.job: Job | None = None

    def deliver(self, answer: Any = None, error: BaseException | None = None) -> None:
        """Hand over the answer or the error; one that hung up meanwhile gets nothing."""
        with suppress(InvalidStateError):
            if error is None:
                self.set_result(answer)
            else:
                self.set_exception(error)


class Job:
    """Work that one request started and any number wait for.

    Attributes:
        task: of the first request that still waits when the reading begins.
        tickets: the requests that wait.
        caller: who asked first.
        counted: whether it appears in statistics and reports.
    """

    def __init__(self, task: Task, caller: str, *, counted: bool = True) -> None:
        self.task, self.caller, self.counted = task, caller, counted
        self.model, self.device, self.key, self.group = task.model, task.device, task.key, task.group
        self.tickets: list[Ticket] = []
        self.state = State.WAITING
        self.held = 0
        self.batch, self.ran_s, self.queued_s = 1, 0.0, 0.0
        self._since = time.monotonic()

    def wait_begins(self) -> None:
        """Note that it stands in line from now on."""
        self._since = time.monotonic()

    def wait_ends(self) -> None:
        """Note that its turn has come."""
        self.queued_s += time.monotonic() - self._since
        self.task.queued_s = self.queued_s

    def report(self, outcome: str) -> JobReport:
        """Sum it up."""
        return JobReport(self.model, self.queued_s, self.ran_s, outcome, self.batch, self.task.rung)
