"""Trainings that new labels began and that failed for a reason that may pass: begun again, a few times.

An archive that is away for a minute, or a disk that is full, must not cost the labels that a training was to learn
from: they count as new again, and after a pause one more training takes them. Where labels or settings are at fault,
only other ones help, and where a person stopped it or asked for it, that person decides.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tumorseg.adapters.jobs.types import Job, JobState

#: Between the end of a training that failed and the next one, s.
PAUSE_S = 600.0
#: Trainings in a row on the same labels.
MOST_TRIES = 3
#: Under which name a training's request keeps which labels it took; nobody asks for it.
_TOOK, _SINCE, _TRIES = "took", "since", "tries"


@dataclass(frozen=True)
class Failed:
    """The newest training of a model, where it is to be begun again.

    Attributes:
        since: up to which label the model had learned before it.
        tries: how many trainings in a row have failed by now.
        ended: when, s since 1970.
    """

    since: int
    tries: int
    ended: float

    def rests(self) -> bool:
        """Whether it is too early to begin again; also where the clock was put back nobody waits for long."""
        return 0 <= time.time() - self.ended < PAUSE_S


def took(request: Mapping[str, Any], since: int, before: Failed | None) -> dict[str, Any]:
    """Return a request that says which labels its training took."""
    return {**request, _TOOK: {_SINCE: since, _TRIES: before.tries + 1 if before else 1}}


def asked(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return what somebody asked for: a request without what the server noted in it."""
    return {name: value for name, value in request.items() if name != _TOOK}


def failed(jobs: Iterable[tuple[Job, JobState]], model: str) -> Failed | None:
    """Return the newest training of a model where labels began it and it is to be begun again, else None.

    Args:
        jobs: newest first.
        model: registry name.
    """
    newest = next(((job, state) for job, state in jobs if job.kind == "train" and job.model == model), None)
    if newest is None or newest[1].status != "ERROR" or newest[1].refused:
        return None
    said = newest[0].request.get(_TOOK)
    if not isinstance(said, Mapping) or said[_TRIES] >= MOST_TRIES:
        return None
    return Failed(int(said[_SINCE]), int(said[_TRIES]), newest[1].ended or 0.0)
