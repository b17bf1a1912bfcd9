"""Which jobs there are and whose turn it is: the state of a queue, which its lock guards. Nothing here waits."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import replace

from tumorseg.adapters.inference.fair import FairLine
from tumorseg.adapters.inference.job import Job, State, Task, Ticket
from tumorseg.adapters.inference.report import JobReport, QueueStats
from tumorseg.errors import UnavailableError

#: Seconds that a job takes, as long as nothing is known; and between which a caller is told to come back.
FIRST_GUESS_S, SOONEST_S, LATEST_S = 5.0, 1, 60
#: How much the newest job counts in the mean of their seconds.
_NEWEST = 0.2
# States in which a job takes up room.
_WAIT = (State.WAITING, State.READING, State.READY)


class Board:
    """Every job that is not over.

    Args:
        capacity: jobs that may wait.
        together: slices of different jobs in one run.

    Attributes:
        jobs: waiting, running and being finished.
        closing: nothing new is taken.
    """

    def __init__(self, capacity: int, together: int) -> None:
        self.jobs: set[Job] = set()
        self.closing = False
        self._capacity, self._together = capacity, together
        self._by_key: dict[Hashable, Job] = {}
        self._waiting: FairLine[Job] = FairLine()
        self._ready: dict[str, FairLine[Job]] = {}
        self._counts = QueueStats(capacity=capacity)
        self._seconds = FIRST_GUESS_S

    def stats(self) -> QueueStats:
        """Sum up."""
        waits = [job.state in _WAIT for job in self.jobs if job.counted]
        return replace(self._counts, waiting=sum(waits), running=len(waits) - sum(waits))

    def enter(self, ticket: Ticket, caller: str, *, counted: bool) -> UnavailableError | None:
        """Let a ticket wait for the job of its key, or for a new one; return the reason where it cannot."""
        task = ticket.task
        job = self._by_key.get(task.key) if task.key is not None else None
        # What is not counted is the server's own: a version that is tried while it is busy waits, it is not given up.
        refusal = self._refusal(welcome=job is not None or not counted)
        if refusal is not None:
            self.count(refused=1)
            return refusal
        if job is None:
            job = self._new(task, caller, counted=counted)
        else:
            self.count(coalesced=1)
        job.tickets.append(ticket)
        ticket.job = job
        return None

    def leave(self, ticket: Ticket) -> JobReport | None:
        """Let a ticket wait no longer; a job that nobody waits for is over, or told to stop."""
        job, ticket.job = ticket.job, None
        if job is None:
            return None
        job.tickets.remove(ticket)
        if job.tickets:
            return None
        if job.state is State.WAITING and self._waiting.remove(job):
            return self.end(job, "cancelled")
        if job.state is State.READY and self._ready[job.device].remove(job):
            return self.end(job, "cancelled")
        job.task.stop = True
        self._forget_key(job)
        return None

    def next_to_read(self, most_bytes: int) -> Job | None:
        """Take the next job that is to be read; None while there is none or too much is held already."""
        if not len(self._waiting) or sum(job.held for job in self.jobs) >= most_bytes:
            return None
        job = self._waiting.take()
        job.wait_ends()
        job.state, job.task = State.READING, job.tickets[0].task
        return job

    def read_again(self, job: Job) -> bool:
        """Put a job back where its reading failed because who brought the files hung up, and another has the same."""
        if any(ticket.task is job.task for ticket in job.tickets):
            return False
        job.state = State.WAITING
        job.wait_begins()
        self._waiting.add(job.caller, job)
        return True

    def put_before_device(self, job: Job) -> None:
        """Let a job that was read wait for its device."""
        job.state, job.held = State.READY, job.task.nbytes
        job.wait_begins()
        self._ready.setdefault(job.device, FairLine()).add(job.caller, job)

    def has_work(self, device: str) -> bool:
        """Tell whether a job waits for a device."""
        return device in self._ready and len(self._ready[device]) > 0

    def take(self, device: str) -> list[Job]:
        """Take the next job of a device and, as far as there is room, those that may run along with it."""
        line = self._ready[device]
        group = [line.take()]
        room = self._together - group[0].task.size
        for job in list(line) if group[0].group is not None else ():
            if job.group == group[0].group and job.task.size <= room:
                line.remove(job)
                group.append(job)
                room -= job.task.size
        for job in group:
            job.wait_ends()
            job.state, job.batch = State.RUNNING, len(group)
        self.count(batched=len(group) if len(group) > 1 else 0)
        return group

    def took(self, seconds: float) -> None:
        """Learn how long a job was on a device."""
        self._seconds += _NEWEST * (seconds - self._seconds)

    def end(self, job: Job, outcome: str) -> JobReport | None:
        """Forget a job and what it holds; return what is to be told of it."""
        job.state, job.held = State.OVER, 0
        self.jobs.discard(job)
        self._forget_key(job)
        for ticket in job.tickets:
            ticket.job = None
        if not job.counted:
            return None
        self.count(**{outcome: 1})
        return job.report(outcome)

    def count(self, **more: int) -> None:
        """Add to what is counted."""
        self._counts = replace(self._counts, **{name: getattr(self._counts, name) + n for name, n in more.items()})

    def retry_after(self) -> int:
        """Estimate the seconds until half of all jobs are done: then there is room."""
        return min(LATEST_S, max(SOONEST_S, math.ceil(self._seconds * (len(self.jobs) + 1) / 2)))

    def _refusal(self, *, welcome: bool) -> UnavailableError | None:
        """Say why a request cannot be taken, None where it can; one that is welcome is also where there is no room."""
        if self.closing:
            return stopping()
        waiting = sum(job.state in _WAIT for job in self.jobs)
        room = self._capacity + (waiting == len(self.jobs))  # one more while the device has nothing to do
        if welcome or waiting < room:
            return None
        soon = self.retry_after()
        return UnavailableError(f"{waiting} inferences wait already: try again in {soon} s", retry_after=soon)

    def _new(self, task: Task, caller: str, *, counted: bool) -> Job:
        job = Job(task, caller, counted=counted)
        self.jobs.add(job)
        if job.key is not None:
            self._by_key[job.key] = job
        self._waiting.add(caller, job)
        return job

    def _forget_key(self, job: Job) -> None:
        """Let nobody join a job any more."""
        if job.key is not None and self._by_key.get(job.key) is job:
            del self._by_key[job.key]


def stopping() -> UnavailableError:
    """Say that nothing new is taken, and what was taken is given up."""
    return UnavailableError("the server is stopping: send this again when it is back", retry_after=SOONEST_S)
