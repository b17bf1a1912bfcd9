"""The queue before the devices.

Concurrency, in one place:

- A request hands in a task and gets a ticket, a future that it awaits (``asyncio.wrap_future``): no thread waits with
  it. Cancelling the ticket is how a client hangs up.
- One thread for each device, the *worker*, runs networks, and nothing else touches that device: OpenVINO locks up when
  several Python threads drive it, and two volumes at once would only take memory and cores from each other. The worker
  never reads a file and never writes an answer.
- A small pool of threads reads and prepares what is next, at most :data:`READERS` at once and no more ahead than
  :data:`AHEAD_BYTES`, and finishes and encodes what was computed. A slow disk therefore holds up whoever reads from it
  and nobody else, as long as one reader is free.
- Short work that drives a network too (an answer to a click) goes into the device's *lane*
  (:mod:`tumorseg.adapters.inference.lane`). The worker does what waits there before it takes the next job, and between
  two slices of the job that it is at: a click waits for a slice, never for a volume, and a volume for those clicks that
  came during one of its slices.
- Callers take turns, at the disk and at the device (:class:`tumorseg.adapters.inference.fair.FairLine`).
- When the worker takes a job it takes along those of the same model that are ready too, up to :data:`TOGETHER` slices,
  and runs them in one go. Whatever goes wrong in a shared run is done again one by one, so that one job's error stays
  its own.
- A task whose key is already in the queue joins that job. The job goes on until the last of its tickets is cancelled;
  then it leaves the line at once, or stops at the next slice.
- One lock guards all state (:mod:`tumorseg.adapters.inference.board`); it is never held while a task works, a future is
  resolved or an observer is told.
- The threads in which networks compute have a lower priority than all others
  (:mod:`tumorseg.models.engines.priority`).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from tumorseg.adapters.inference.board import Board, stopping
from tumorseg.adapters.inference.doing import computed, done, error_of
from tumorseg.adapters.inference.job import Job, State, Task, Ticket
from tumorseg.adapters.inference.lane import Lane
from tumorseg.adapters.inference.report import JobReport, QueueStats
from tumorseg.models.engines.priority import step_back

logger = logging.getLogger(__name__)

#: Studies that are read at once.
READERS = 2
#: Threads that finish and encode.
FINISHERS = 2
#: Memory of what was read and is not answered yet, beyond which nothing more is read.
AHEAD_BYTES = 512 << 20
#: Slices of different jobs in one run. A volume of more runs alone: nobody should wait for another's hundred slices.
TOGETHER = 32
#: Clicks that may wait for one device.
MOST_URGENT = 64
#: How long the end waits for a slice that is being computed.
_LAST_SLICE_S = 10.0


class InferenceQueue:
    """See the module.

    Args:
        max_waiting: jobs that may wait; one more is refused.
        together: slices of different jobs in one run; 1 runs every job alone.

    Attributes:
        observer: told of every job that is over and every request that was refused, from any thread; must be quick.
    """

    def __init__(self, max_waiting: int, *, together: int = TOGETHER) -> None:
        self.observer: Callable[[JobReport], None] | None = None
        self._board = Board(max_waiting, together)
        self._changed = threading.Condition()
        self._workers: dict[str, threading.Thread] = {}
        self._lanes: dict[str, Lane] = {}
        self._reading, self._stopped = 0, False
        self._pool = ThreadPoolExecutor(READERS + FINISHERS, "inference-cpu")

    @property
    def closing(self) -> bool:
        """Whether nothing new is taken any more."""
        return self._board.closing

    def submit(self, task: Task, wanted: Any, caller: str = "", *, counted: bool = True) -> Ticket:
        """Ask for a task to be done.

        Raises:
            UnavailableError: too many wait, or the server is stopping; says when to come back.
        """
        ticket = Ticket(task, wanted)
        with self._changed:
            refusal = self._board.enter(ticket, caller, counted=counted)
            self._read_on()
        if refusal is not None:
            self._tell(JobReport(task.model, 0.0, 0.0, "refused"))
            raise refusal
        ticket.add_done_callback(self._hung_up)
        return ticket

    def urgent(self, device: str, model: str, do: Callable[[], Any], caller: str = "") -> Future[Any]:
        """Have something short done by the worker of a device, before what is longer; cancel it to hang up.

        Raises:
            UnavailableError: too much waits, or the server is stopping.
        """
        if self.closing:
            raise stopping()
        answer = self._lane(device).add(model, do, caller)
        with self._changed:
            self._wake(device)
        return answer

    def stats(self) -> QueueStats:
        """Look at the queue."""
        with self._changed:
            return self._board.stats()

    def retry_after(self) -> int:
        """Estimate the seconds until there is room."""
        with self._changed:
            return self._board.retry_after()

    def begin_closing(self) -> None:
        """Take nothing new; what runs and waits goes on."""
        with self._changed:
            self._board.closing = True

    def drain(self, seconds: float) -> bool:
        """Wait until all jobs are over; False where that takes longer."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._board.jobs and not any(self._lanes.values()), seconds)

    def close(self, seconds: float = 0.0) -> None:
        """Take nothing new, go on for some seconds with what runs and waits, then give the rest up and end."""
        self.begin_closing()
        self.drain(seconds)
        with self._changed:
            left = [ticket for job in self._board.jobs for ticket in job.tickets]
        for ticket in left:
            ticket.deliver(error=stopping())
            self._leave(ticket)
        for lane in list(self._lanes.values()):
            lane.close()
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        for worker in list(self._workers.values()):
            worker.join(_LAST_SLICE_S)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _read_on(self) -> None:
        """Have the next jobs read, as far as readers and memory go; the lock is held."""
        while self._reading < READERS and not self._stopped:
            job = self._board.next_to_read(AHEAD_BYTES)
            if job is None:
                return
            self._reading += 1
            self._pool.submit(self._read, job)

    def _read(self, job: Job) -> None:
        """Prepare one job and put it before its device; in the pool."""
        error = error_of(job.task.prepare)
        report = None
        with self._changed:
            self._reading -= 1
            if not job.tickets:
                report = self._end(job, "cancelled")
            elif error is None:
                self._board.put_before_device(job)
                self._wake(job.device)
            again = error is not None and bool(job.tickets) and self._board.read_again(job)
            self._read_on()
        self._tell(report)
        if error is not None and not again:
            self._fail(job, error)

    def _wake(self, device: str) -> None:
        """Tell the worker of a device that there is work, starting it first where there is none."""
        if device not in self._workers and not self._stopped:
            worker = threading.Thread(target=self._work, args=(device,), name=f"inference-{device}", daemon=True)
            self._workers[device] = worker
            worker.start()
        self._changed.notify_all()

    def _lane(self, device: str) -> Lane:
        """Return the lane of a device."""
        with self._changed:
            if device not in self._lanes:
                self._lanes[device] = Lane(MOST_URGENT)
                self._lanes[device].observer = self._tell
            return self._lanes[device]

    def _work(self, device: str) -> None:
        """Run one group of jobs after the other; the only thread that touches the device."""
        step_back()
        lane = self._lane(device)
        while True:
            lane.run_waiting()
            with self._changed:
                self._changed.notify_all()  # for who waits until nothing is left
                self._changed.wait_for(lambda: self._stopped or len(lane) > 0 or self._board.has_work(device))
                if self._stopped:
                    return
                # Also where more clicks came meanwhile: they go between its slices, and none keeps it waiting for ever.
                group = self._board.take(device) if self._board.has_work(device) else []
            if group:
                self._run(group, lane)
            del group  # what was computed is not held until the next job comes

    def _run(self, group: list[Job], lane: Lane) -> None:
        """Compute a group and pass every job on; in the worker."""
        begin = time.monotonic()
        for job in group:
            job.task.between = lane.run_waiting
        errors = computed([job.task for job in group])
        seconds = time.monotonic() - begin
        for job, error in zip(group, errors, strict=True):
            job.ran_s, report = seconds, None
            with self._changed:
                self._board.took(seconds / len(group))
                if not job.tickets:
                    report = self._end(job, "cancelled")
                elif error is None:
                    job.state = State.FINISHING
                    self._pool.submit(self._finish, job)
            self._tell(report)
            if error is not None:
                self._fail(job, error)

    def _finish(self, job: Job) -> None:
        """Put the answer together and hand it to everybody who waits, also to who joins meanwhile; in the pool."""
        error = error_of(job.task.finish)
        if error is not None:
            return self._fail(job, error)
        answers: dict[Ticket, Future[Any]] = {}
        while pending := self._unanswered(job, answers):
            answers |= {ticket: done(job.task, ticket.wanted) for ticket in pending}
        for ticket, answer in answers.items():
            failed = answer.exception()
            ticket.deliver(error=failed) if failed is not None else ticket.deliver(answer.result())
        return None

    def _unanswered(self, job: Job, answers: dict[Ticket, Future[Any]]) -> list[Ticket]:
        """Return who waits for an answer that is not there yet; where there is nobody, the job is over."""
        with self._changed:
            pending = [ticket for ticket in job.tickets if ticket not in answers]
            report = None if pending else self._end(job, "done" if job.tickets else "cancelled")
        self._tell(report)
        return pending

    def _fail(self, job: Job, error: Exception) -> None:
        """End a job with an error for everybody who waits; one that is over already stays as it is."""
        with self._changed:
            tickets, over = job.tickets, job.state is State.OVER
            report = None if over else self._end(job, "failed")
        self._tell(report)
        for ticket in tickets if not over else ():
            ticket.deliver(error=error)

    def _end(self, job: Job, outcome: str) -> JobReport | None:
        """Forget a job; the lock is held."""
        report = self._board.end(job, outcome)
        self._read_on()
        self._changed.notify_all()
        return report

    def _hung_up(self, ticket: Future[Any]) -> None:
        """A future is done: by our answer, or because its client went away."""
        if ticket.cancelled() and isinstance(ticket, Ticket):
            self._leave(ticket)

    def _leave(self, ticket: Ticket) -> None:
        with self._changed:
            report = self._board.leave(ticket)
            self._read_on()
            self._changed.notify_all()
        self._tell(report)

    def _tell(self, report: JobReport | None) -> None:
        """Tell the observer; what it raises is its own affair."""
        if report is None or self.observer is None:
            return
        try:
            self.observer(report)
        except Exception:
            logger.exception("the observer of the queue failed")
