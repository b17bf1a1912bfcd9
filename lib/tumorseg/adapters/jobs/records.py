"""The small files in a job's folder: what is to be done, how far it is, and marks."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, get_args

from tumorseg.adapters.jobs.types import Job, JobState, Status
from tumorseg.io.files import write_atomically

JOB, STATE, LOG = "job.json", "state.json", "log.txt"
#: Empty files. CANCEL: somebody wants the job stopped. TOLD: the server knows that it has ended.
CANCEL, TOLD = "cancel", "told"
_STATUSES = frozenset(get_args(Status))
_NUMBERS = ("fraction", "epoch", "epochs", "attempts", "deaths", "furthest")
_NUMBERS_OR_NONE = ("eta_s", "metric", "started", "ended")


def write_job(folder: Path, job: Job) -> None:
    """Write what is to be done.

    Raises:
        TypeError, ValueError: the request cannot be written as JSON.
    """
    write_atomically(folder / JOB, _encoded(asdict(job)))


def read_job(folder: Path) -> Job | None:
    """Read what is to be done; None where that cannot be read."""
    try:
        values = json.loads((folder / JOB).read_bytes())
        job = Job(**{field.name: values[field.name] for field in fields(Job)})
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return job if job.id == folder.name and isinstance(job.request, dict) else None


def write_state(folder: Path, state: JobState) -> None:
    """Replace how far it is, in one step."""
    write_atomically(folder / STATE, _encoded(asdict(state)))


def read_state(folder: Path) -> JobState:
    """Read how far it is; a file that cannot be read is told as an ERROR of the job."""
    try:
        values = json.loads((folder / STATE).read_bytes())
        # What a newer server wrote beside it is of no meaning here; what an older one did not know is as it begins.
        known = {field.name: values[field.name] for field in fields(JobState) if field.name in values}
        state = JobState(**{**known, "status": values["status"]})
        _check(state)
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = f"{STATE} of this job is damaged ({type(error).__name__}); what it left lies in {folder.name}: ask again"
        return JobState("ERROR", error=why)
    return state


def _check(state: JobState) -> None:
    """Raise ValueError for values of a wrong kind, which a damaged file may hold though it is JSON."""
    kinds: list[tuple[Any, Any]] = [(getattr(state, name), int | float) for name in _NUMBERS]
    kinds += [(getattr(state, name), int | float | None) for name in _NUMBERS_OR_NONE]
    kinds += [(state.result, dict), (state.error, str), (state.refused, bool)]
    if state.status not in _STATUSES or not all(isinstance(value, kind) for value, kind in kinds):
        raise ValueError("values of a wrong kind")


def _encoded(values: dict[str, Any]) -> bytes:
    """Write as JSON that every reader takes: no NaN."""
    return (json.dumps(values, indent=1, allow_nan=False) + "\n").encode()
