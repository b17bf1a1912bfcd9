"""Jobs as those see them who ask for them: each thing is asked for once, all of a kind are stopped together.

Concurrency: any thread may call anything here. What is listed is read from the disk at most twice a second, however
many ask, and at once after something was changed here.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tumorseg.adapters.jobs.types import ENDED
from tumorseg.adapters.learning.again import asked
from tumorseg.adapters.learning.statistics import DETAILS, task

if TYPE_CHECKING:
    from tumorseg.adapters.jobs.runner import JobRunner
    from tumorseg.adapters.jobs.types import Job, JobState, Kind

logger = logging.getLogger(__name__)
#: How long what was read counts as new, s.
_FRESH_S = 0.5
#: How long an answer waits for a job to stop, s: viewers want to hear that it did.
_STOPPING_S = 5.0
Listed = list[tuple["Job", "JobState"]]


class JobDesk:
    """Where jobs are asked for, looked at and stopped.

    Args:
        runner: does them.
    """

    def __init__(self, runner: JobRunner) -> None:
        self.runner = runner
        self._asking = threading.Lock()
        self._reading = threading.Lock()
        self._read: tuple[float, Listed] = (float("-inf"), [])

    def submit(self, kind: Kind, model: str, request: Mapping[str, Any], who: str) -> Job:
        """Ask for a job; one that waits and is to do the same is the one that was asked for.

        Raises:
            OSError: the state folder cannot be written.
        """
        with self._asking:
            known = self.waiting(kind, model, request)
            if known is not None:
                return known
            job = self.runner.submit(kind, model, dict(request), who)
        self.changed()
        logger.info("job %s was submitted: %s %s, asked for by %s", job.id, kind, model, who)
        return job

    def waiting(self, kind: Kind, model: str, request: Mapping[str, Any] | None = None) -> Job | None:
        """Return a job that has not begun: of this model, and to do exactly this where that is said.

        One that was put back after a close or a kill has begun: what it learns from is fixed.
        """
        for job, state in self.runner.list():
            is_meant = (
                job.kind == kind and job.model == model and (request is None or asked(job.request) == asked(request))
            )
            if is_meant and state.status == "SUBMITTED" and state.attempts == 0:
                return job
        return None

    def all(self) -> Listed:
        """Return every job, newest first, as it was half a second ago or later."""
        with self._reading:
            read_at, found = self._read
            if time.monotonic() - read_at > _FRESH_S:
                found = self.runner.list()
                self._read = (time.monotonic(), found)
            return found

    def changed(self) -> None:
        """Let whoever asks next read anew."""
        self._read = (float("-inf"), [])

    def task(self, job: Job) -> dict[str, Any]:
        """Describe one job to viewers."""
        state = next((state for known, state in self.runner.list() if known.id == job.id), None)
        return task(job, state, self._lines(job.id)) if state else {}

    def tasks(self, kind: Kind | None = None) -> list[dict[str, Any]]:
        """Describe every job of a kind, or of all, the oldest first as MONAI Label does."""
        return [
            task(job, state, self._lines(job.id)) for job, state in reversed(self.all()) if kind in (None, job.kind)
        ]

    def current(self, kind: Kind, *, only_open: bool) -> dict[str, Any] | None:
        """Describe what runs, else what waits, else what ended last; None where there is none.

        Args:
            kind: of the job.
            only_open: nothing that has ended.
        """
        of_kind = [(job, state) for job, state in self.runner.list() if job.kind == kind]
        running = [pair for pair in of_kind if pair[1].status == "RUNNING"]
        # Of those that wait the one whose turn comes first, of the ended ones the last.
        waiting = [pair for pair in reversed(of_kind) if pair[1].status == "SUBMITTED"]
        ended = [] if only_open else [pair for pair in of_kind if pair[1].status in ENDED]
        found = next(iter([*running, *waiting, *ended]), None)
        return task(*found, self._lines(found[0].id)) if found else None

    def stop(self, kind: Kind, who: str, model: str | None = None) -> dict[str, Any]:
        """Stop what runs and what waits, and describe what ran, else one that waited; empty where there was none."""
        meant = [
            (job, state)
            for job, state in self.runner.list()
            if job.kind == kind and model in (None, job.model) and state.status not in ENDED
        ]
        # What waits first: else the next one begins while the one that runs ends.
        for job, _ in sorted(meant, key=lambda pair: pair[1].status == "RUNNING"):
            logger.info("job %s is stopped, asked for by %s", job.id, who)
            self.runner.cancel(job.id)
        self.changed()
        if not meant:
            return {}
        job = min(meant, key=lambda pair: pair[1].status != "RUNNING")[0]
        return self._when_ended(job)

    def cancel(self, id: str) -> None:
        """Stop one job; one that runs ends soon.

        Raises:
            NotFoundError: there is no such job.
        """
        self.runner.cancel(id)
        self.changed()

    def log(self, id: str) -> list[str]:
        """Return what a job said, oldest line first.

        Raises:
            NotFoundError: there is no such job.
        """
        return list(self.runner.log(id))

    def _when_ended(self, job: Job) -> dict[str, Any]:
        end = time.monotonic() + _STOPPING_S
        while (said := self.task(job)) and said["status"] not in ENDED and time.monotonic() < end:
            time.sleep(0.1)
        self.changed()
        return said

    def _lines(self, id: str) -> list[str]:
        return list(self.runner.log(id, DETAILS))
