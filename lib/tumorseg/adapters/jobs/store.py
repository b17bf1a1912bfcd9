"""The jobs of a state folder, one folder each, shared by every server that uses it.

::

    <state>/jobs/lock                  who has it runs the jobs (see runner.py)
    <state>/jobs/queue.lock            held for a moment while a job changes hands
    <state>/jobs/20261121-122630-123456/
        job.json                       what is to be done; written once
        state.json                     how far it is; replaced in one step
        log.txt                        what it said, and the traceback where it failed
        cancel, told                   marks
        ...                            what the work leaves there to go on from

Who may write ``state.json``: whoever holds ``queue.lock`` while no process works on the job, and that process alone
while it does.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tumorseg.adapters.jobs import log, records
from tumorseg.adapters.jobs.types import ENDED, Job, JobState, Kind
from tumorseg.errors import InputError, NotFoundError

#: Ended jobs of each kind whose state and log are kept. Scorings are many, and must not push out the training that
#: failed before anybody has read why.
KEPT = 50
#: What an ended job leaves that is large and of no more use: publishing keeps the weights elsewhere.
LARGE = ("*.pt", "*.safetensors", "*.npy", "*.tmp")
#: Attempts in a row that may be killed without getting further.
MAX_DEATHS = 3
#: Written down here: within the class ``list`` is its method.
Jobs = list[tuple[Job, JobState]]
Names = list[str]
_ID = re.compile(r"\d{8}-\d{6}-\d{6}")
_TIME = "%Y%m%d-%H%M%S-%f"


class JobStore:
    """Jobs on disk.

    Args:
        folder: ``<state>/jobs``; it is made when the first job comes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._told: set[str] = set()

    def submit(self, kind: Kind, model: str, request: Mapping[str, Any], who: str) -> Job:
        """Put a job at the end of the queue; when this returns it outlives the server.

        Raises:
            InputError: the request cannot be written as JSON.
            OSError: the state folder cannot be written.
        """
        plain = _plain(request)
        with self._alone():
            now = datetime.now(UTC)
            if last := self.ids()[-1:]:  # also where the clock was put back
                now = max(now, datetime.strptime(last[0], _TIME).replace(tzinfo=UTC) + timedelta(microseconds=1))
            job = Job(now.strftime(_TIME), kind, model, plain, who, now.timestamp())
            # Nobody sees the folder before it is complete.
            fresh = self.folder / f".new-{job.id}"
            shutil.rmtree(fresh, ignore_errors=True)
            try:
                fresh.mkdir(mode=0o700)
                records.write_job(fresh, job)
                records.write_state(fresh, JobState())
                fresh.rename(self.folder / job.id)
            finally:
                shutil.rmtree(fresh, ignore_errors=True)
            _sync(self.folder)
        return job

    def ids(self) -> Names:
        """Return the ids of all jobs, in the order in which they were submitted."""
        try:
            return sorted(name for name in os.listdir(self.folder) if _ID.fullmatch(name))
        except FileNotFoundError:
            return []

    def list(self) -> Jobs:
        """Return all jobs and how far they are, newest first; a job whose description is damaged is left out."""
        found = ((records.read_job(self.folder / id), id) for id in reversed(self.ids()))
        return [(job, records.read_state(self.folder / id)) for job, id in found if job]

    def job(self, id: str) -> Job:
        """Return what a job is to do; NotFoundError where there is no such job."""
        job = records.read_job(self.path(id))
        if job is None:
            raise NotFoundError(f"{records.JOB} of the job {id} is damaged: ask for the work again")
        return job

    def path(self, id: str) -> Path:
        """Return a job's folder; NotFoundError where there is none."""
        if not _ID.fullmatch(id) or not (self.folder / id).is_dir():
            raise NotFoundError(f"unknown job {id!r}; jobs that ended long ago are removed")
        return self.folder / id

    def state(self, id: str) -> JobState:
        """Return how far a job is."""
        return records.read_state(self.path(id))

    def log(self, id: str, last: int | None = None) -> Names:
        """Return what a job said, oldest line first; only its ``last`` lines where that is given."""
        return log.read(self.path(id) / records.LOG, last)

    def say(self, id: str, text: str) -> None:
        """Add to a job's log."""
        log.Log(self.path(id) / records.LOG).line(text)

    def cancel(self, id: str) -> JobState:
        """Stop a job that waits, ask for the end of one that runs, and leave one that ended as it is."""
        folder = self.path(id)
        with self._alone():
            state = records.read_state(folder)
            if state.status in ENDED:
                return state
            (folder / records.CANCEL).touch()
            return self._stop(folder, state) if state.status == "SUBMITTED" else state

    def cancelled(self, id: str) -> bool:
        """Return whether somebody wants the job stopped."""
        return (self.folder / id / records.CANCEL).exists()

    def pulse(self, id: str) -> object:
        """Return what differs whenever a job gets on or says something."""
        files = (self.folder / id / name for name in (records.STATE, records.LOG))
        return tuple((state.st_mtime_ns, state.st_size) for state in map(_stat, files) if state)

    def begin(self, id: str) -> JobState | None:
        """Take a job out of the queue; None where it does not wait any more."""
        folder = self.path(id)
        with self._alone():
            state = records.read_state(folder)
            if state.status != "SUBMITTED":
                return None
            if (folder / records.CANCEL).exists():
                self._stop(folder, state)
                return None
            started = state.started or time.time()
            begun = replace(state, status="RUNNING", attempts=state.attempts + 1, started=started, eta_s=None, error="")
            records.write_state(folder, begun)
            return begun

    def settle(self, id: str, why: str, *, died: bool) -> JobState:
        """Say of a job that no process works on any more where it stands now.

        Args:
            id: the job.
            why: how its process ended.
            died: whether that was against our will; after :data:`MAX_DEATHS` of them the job is an ERROR.
        """
        folder = self.path(id)
        with self._alone():
            state = records.read_state(folder)
            if state.status in ENDED:
                return state
            if (folder / records.CANCEL).exists():
                return self._stop(folder, state)
            if state.status == "SUBMITTED" or not died:
                settled = replace(state, status="SUBMITTED", eta_s=None)
            else:
                settled = _after_death(state, why)
            records.write_state(folder, settled)
            return settled

    def untold(self) -> Names:
        """Return the ids of the jobs that wait, run, or ended and were not told yet, in the order of submission."""
        return [id for id in self.ids() if id not in self._told and not (self.folder / id / records.TOLD).exists()]

    def tell(self, ended: Callable[[Job, JobState], None]) -> int:
        """Call ``ended`` for every job that ended and was not told yet, also one of another server; count them.

        Only the server that runs the jobs calls this. Where it is killed meanwhile, the next one tells again.
        """
        told = 0
        for id in self.untold():
            job, state = records.read_job(self.folder / id), records.read_state(self.folder / id)
            if job is None or state.status not in ENDED:
                continue
            ended(job, state)
            told += 1
            self._told.add(id)
            with suppress(OSError):  # a full disk: this server remembers
                (self.folder / id / records.TOLD).touch()
        return told

    def thin(self) -> None:
        """Remove what ended jobs do not need, and those that ended long ago."""
        ended: dict[str, Names] = {}
        for id in self.ids():
            if records.read_state(self.folder / id).status in ENDED:
                job = records.read_job(self.folder / id)
                ended.setdefault(job.kind if job else "", []).append(id)
        for ids in ended.values():
            for id in ids[: max(len(ids) - KEPT, 0)]:
                shutil.rmtree(self.folder / id, ignore_errors=True)
            for id in ids[-KEPT:]:
                self._remove_large(id)

    def _remove_large(self, id: str) -> None:
        for pattern in LARGE:
            for file in (self.folder / id).rglob(pattern):
                with suppress(OSError):
                    file.unlink()

    def _stop(self, folder: Path, state: JobState) -> JobState:
        """Write that a job was cancelled."""
        stopped = replace(state, status="STOPPED", ended=time.time(), eta_s=None)
        records.write_state(folder, stopped)
        return stopped

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other threads, and other servers, from changing a job in between."""
        self.folder.mkdir(parents=True, mode=0o700, exist_ok=True)
        descriptor = os.open(self.folder / "queue.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _plain(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request as it is read again from JSON."""
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(request), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise InputError(f"expected a request that can be written as JSON ({error}), got {request}") from None
    return plain


def _after_death(state: JobState, why: str) -> JobState:
    """Put a job whose process was killed back into the queue, or give it up."""
    deaths = state.deaths + 1
    if deaths < MAX_DEATHS:
        return replace(state, status="SUBMITTED", deaths=deaths, eta_s=None)
    said = f"given up: {deaths} attempts in a row ended without getting further; the last one: {why}"
    return replace(state, status="ERROR", deaths=deaths, eta_s=None, ended=time.time(), error=said)


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _sync(folder: Path) -> None:
    """Make new names in a folder outlive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
