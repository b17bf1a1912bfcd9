"""Runs the jobs of a state folder: one at a time, in a process of its own, on one of the servers that share it.

Concurrency: one thread a server. The server that holds the lock ``<state>/jobs/lock`` runs the jobs; the others look
every two seconds whether it is free. A job's process inherits the lock, so it becomes free only when the server *and*
its job are gone, however they ended. Whoever has the lock therefore knows: a job that is called RUNNING, and that it
did not start, has no process any more, and is started again in its folder.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tumorseg.adapters.jobs import failures
from tumorseg.adapters.jobs.process import JobProcess
from tumorseg.adapters.jobs.store import MAX_DEATHS, Jobs, JobStore, Names
from tumorseg.adapters.jobs.types import Job, JobState, Kind
from tumorseg.adapters.jobs.watch import GRACE_S

if TYPE_CHECKING:
    from tumorseg.config import AppConfig

logger = logging.getLogger(__name__)

COMMAND = (sys.executable, "-P", "-m", "tumorseg.adapters.jobs.worker")
#: How often to look for the lock, and for jobs that another server was asked for.
POLL_S = 2.0
#: How often to look at the job that runs.
TICK_S = 0.2
#: What closing waits for beyond the time that a job has to stop: one that hangs in a broken disk cannot be ended.
MARGIN_S = 5.0
#: A job that says nothing for so long hangs (a share that does not answer, a deadlock) and keeps the others waiting.
SILENCE_S = 3600.0


class JobRunner:
    """The jobs of one server's state folder.

    Args:
        config: where the state lies, and what jobs may take.
        ended: called in the runner's thread for every job that ended, on the server that runs the jobs, also for those
            that ended under another server that could not tell any more. A second time where the server was killed
            meanwhile.
        command: what runs a job; its folder is appended.
        grace_s: s between asking a job to stop and ending it.
        silence_s: s after which a job that neither gets on nor logs anything is ended, and tried again.
    """

    def __init__(
        self,
        config: AppConfig,
        ended: Callable[[Job, JobState], None],
        *,
        command: Sequence[str] = COMMAND,
        grace_s: float = GRACE_S,
        silence_s: float = SILENCE_S,
    ) -> None:
        self.store = JobStore(config.state / "jobs")
        self._config = config
        self._ended = ended
        self._command = command
        self._grace_s, self._silence_s = grace_s, silence_s
        self._wake = threading.Event()
        self._closing = False
        self._lock = -1
        self._thread: threading.Thread | None = None

    def submit(self, kind: Kind, model: str, request: Mapping[str, Any], who: str) -> Job:
        """Put a job at the end of the queue; it outlives the server.

        Raises:
            InputError: the request cannot be written as JSON.
            OSError: the state folder cannot be written.
        """
        job = self.store.submit(kind, model, request, who)
        self._wake.set()
        return job

    def cancel(self, id: str) -> JobState:
        """Stop a job that waits, ask for the end of one that runs, on whatever server, and leave one that ended.

        Raises:
            NotFoundError: there is no such job.
        """
        state = self.store.cancel(id)
        self._wake.set()
        return state

    def list(self) -> Jobs:
        """Return all jobs and how far they are, newest first."""
        return self.store.list()

    def running(self) -> tuple[Job, JobState] | None:
        """Return the job that runs, on whatever server."""
        return next(((job, state) for job, state in self.list() if state.status == "RUNNING"), None)

    def log(self, id: str, last: int | None = None) -> Names:
        """Return what a job said, oldest line first; only its ``last`` lines where that is given."""
        return self.store.log(id, last)

    def start(self) -> None:
        """Begin to run jobs."""
        if self._thread is None:
            self._closing = False
            self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop running jobs; one that runs gets time to leave its state, and goes on with the next start."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._closing = True
            self._wake.set()
            thread.join(self._grace_s + MARGIN_S)

    def _run(self) -> None:
        """Run jobs until closed."""
        try:
            while not self._closing:
                try:
                    worked = self._turn()
                except OSError as error:  # a full disk: what is asked for is tried again, as long as it takes
                    logger.error("the jobs cannot go on, trying again: %s", error)
                    worked = False
                except Exception:
                    logger.exception("the jobs cannot go on, trying again")
                    worked = False
                if not worked and not self._closing:
                    self._wait(POLL_S)
        finally:
            self._release()

    def _turn(self) -> bool:
        """Do the next thing; return whether there was one."""
        if not self._has_lock():
            return False
        self._clear_up()
        for id in self.store.untold():
            if self._closing:
                return False
            if self.store.begin(id):
                worked = self._work(id)
                self._clear_up()
                return worked
        return False

    def _clear_up(self) -> None:
        """Say of jobs without a process where they stand, tell which ended, and remove what is of no more use."""
        for id in self.store.untold():
            if self.store.state(id).status == "RUNNING":
                self._settle(id, "it was killed, and its server too", died=True)
        if self.store.tell(self._tell):
            self.store.thin()

    def _tell(self, job: Job, state: JobState) -> None:
        try:
            self._ended(job, state)
        except Exception:
            logger.exception("what follows the end of the job %s failed", job.id)

    def _work(self, id: str) -> bool:
        """Do one job; return whether its process could be started."""
        try:
            process = JobProcess(self._command, self.store.path(id), self._config, self._lock)
        except OSError as error:
            self._settle(id, f"no process could be started for it ({error})", died=True)
            return False
        logger.info("job %s started, process %d", id, process.pid)
        try:
            died, hung = self._attend(id, process)
        finally:
            process.kill()
            code = process.collect()
        silent = f"it said nothing for {self._silence_s:.0f} s, hung, and was ended"
        self._settle(id, silent if hung else failures.death(code, self.store.log(id, 1)), died=died)
        return True

    def _attend(self, id: str, process: JobProcess) -> tuple[bool, bool]:
        """Wait until a process has ended; return whether nobody asked it to, and whether it hung."""
        asked_at: float | None = None
        pulse, heard_at = self.store.pulse(id), time.monotonic()
        while not process.ended():
            if (now := self.store.pulse(id)) != pulse:
                pulse, heard_at = now, time.monotonic()
            elif asked_at is None and time.monotonic() - heard_at > self._silence_s:
                return True, True
            if asked_at is None and (self._closing or self.store.cancelled(id)):
                asked_at = time.monotonic()
                process.ask()
            elif asked_at is not None and time.monotonic() - asked_at > self._grace_s:
                process.kill()
            self._wait(TICK_S)
        return asked_at is None, False

    def _settle(self, id: str, why: str, *, died: bool) -> None:
        """Write where a job stands whose process is gone."""
        state = self.store.settle(id, why, died=died)
        if state.status == "SUBMITTED" and died:
            self.store.say(id, f"the attempt ended: {why}")
        elif state.status == "ERROR" and state.deaths >= MAX_DEATHS:
            self.store.say(id, state.error)
        logger.info("job %s: %s", id, state.status)

    def _wait(self, seconds: float) -> None:
        """Wait, or be woken."""
        self._wake.wait(seconds)
        self._wake.clear()

    def _has_lock(self) -> bool:
        """Take the lock where it is free; return whether this server has it."""
        if self._lock >= 0:
            return True
        if not self.store.ids():  # nothing to do yet: leave a state folder as it is
            return False
        descriptor = os.open(self.store.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if isinstance(error, BlockingIOError):
                return False
            raise  # a file system without locks
        self._lock = descriptor
        return True

    def _release(self) -> None:
        """Give the lock back, by closing it: unlocking would take it from a process that inherited it."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
