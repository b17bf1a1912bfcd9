"""Jobs and versions in the words that viewers read: MONAI Label's task of ``/train/`` and its ``train_stats``.

3D Slicer's panel takes the first entry of ``train_stats`` only. It divides by ``total_epochs`` and multiplies
``best_metric``, so both are always numbers; an entry with ``total_time`` is one that is over. Of a stopped task it
shows the last of ``details``, so there is always one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from tumorseg.adapters.jobs.types import ENDED
from tumorseg.adapters.learning.again import asked

if TYPE_CHECKING:
    from tumorseg.adapters.jobs.types import Job, JobState
    from tumorseg.versions.types import VersionCard

#: Lines of a job's log that its task shows, as MONAI Label's.
DETAILS = 20
#: Which of a model's trainings is shown: what runs, else what ended last, else what waits and has nothing to show.
_RANK = {"RUNNING": 0, "SUBMITTED": 2}


def task(job: Job, state: JobState, lines: Sequence[str]) -> dict[str, Any]:
    """Describe a job as MONAI Label describes its background tasks; ``progress`` and what follows it is ours.

    Args:
        job: what was asked for.
        state: how far it is.
        lines: its log, oldest first.
    """
    said: dict[str, Any] = {
        "id": job.id,
        "status": state.status,
        "request": {"model": job.model, **asked(job.request)},
        "start_ts": _wall(state.started or job.created),
        "details": list(lines[-DETAILS:]) or [_said(state)],
        "kind": job.kind,
        "who": job.who,
        "submitted_ts": _wall(job.created),
        "progress": round(state.fraction, 4),
        "epoch": state.epoch,
        "total_epochs": state.epochs,
        "best_metric": finite(state.metric),
        "eta_s": finite(state.eta_s),
        "attempts": state.attempts,
    }
    if state.ended is not None:
        said["end_ts"] = _wall(state.ended)
    if state.result:
        said["result"] = finite(state.result)
    if state.error:
        said["error"] = state.error
    return said


def train_stats(jobs: Iterable[tuple[Job, JobState]], now: float) -> dict[str, dict[str, Any]]:
    """Return model -> how its running or else its last training went; the one to look at first.

    Args:
        jobs: every job, newest first; only trainings count.
        now: s since 1970.
    """
    newest: dict[str, tuple[Job, JobState]] = {}
    for job, state in jobs:
        known = newest.get(job.model)
        if job.kind == "train" and (known is None or _rank(state) < _rank(known[1])):
            newest[job.model] = (job, state)
    ordered = sorted(newest.values(), key=lambda pair: _rank(pair[1]))
    return {job.model: _stats(job, state, now) for job, state in ordered}


def _rank(state: JobState) -> int:
    return _RANK.get(state.status, 1)


def _stats(job: Job, state: JobState, now: float) -> dict[str, Any]:
    begun = state.started or job.created
    lasted = str(timedelta(seconds=int(max(0.0, (state.ended or now) - begun))))
    metric = finite(state.metric) or 0.0
    said: dict[str, Any] = {
        "epoch": state.epoch,
        "total_epochs": max(1, state.epochs),
        "best_metric": metric,
        "start_ts": int(begun),
        "total_time" if state.status in ENDED else "current_time": lasted,
        "status": state.status,
        "progress": round(state.fraction, 4),
        "eta_s": finite(state.eta_s),
        "eval": {"key_metric_name": "dice", "best_metric": metric},
    }
    return {**said, "result": finite(state.result)} if state.result else said


def versions(serving: str, cards: Sequence[VersionCard]) -> dict[str, Any]:
    """Count the versions of a model by their status, and say which one answers.

    Args:
        serving: id of the version that answers.
        cards: every version, newest first.
    """
    counts = {status: sum(card.status == status for card in cards) for status in ("published", "refused")}
    said = {"serving": serving, **counts}
    if cards:
        last = cards[0]
        said["newest"] = {"id": last.id, "status": last.status, "made_at": last.made_at, "why": last.why}
    return said


def finite(value: Any) -> Any:
    """Return a value with None for what JSON has no number for: viewers could not read the whole answer."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(name): finite(one) for name, one in value.items()}
    return [finite(one) for one in value] if isinstance(value, list | tuple) else value


def _said(state: JobState) -> str:
    return "waits for its turn" if state.status == "SUBMITTED" else f"nothing was said yet ({state.status})"


def _wall(seconds: float) -> str:
    """Write a time as MONAI Label does: the server's own wall time."""
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M:%S")
