"""What a job is, how far it is, and what the code that does it may say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from tumorseg.config import AppConfig

#: In MONAI Label's words, which viewers show. STOPPED: somebody cancelled it.
Status = Literal["SUBMITTED", "RUNNING", "DONE", "ERROR", "STOPPED"]
Kind = Literal["train", "score"]
ENDED: frozenset[Status] = frozenset({"DONE", "ERROR", "STOPPED"})


@dataclass(frozen=True)
class Job:
    """What is to be done; written once.

    Attributes:
        id: unique, sorts in the order of submission, fit for a folder's name.
        kind: which work, see :mod:`tumorseg.adapters.jobs.worker`.
        model: registry name of the model that it is about.
        request: what was asked for, JSON-able.
        who: who asked.
        created: s since 1970.
    """

    id: str
    kind: Kind
    model: str
    request: Mapping[str, Any]
    who: str
    created: float


@dataclass(frozen=True)
class JobState:
    """How far a job is; replaced in one step.

    Attributes:
        status: see :data:`Status`.
        fraction: done, in [0, 1].
        epoch, epochs: of a training; 0 where it has none.
        eta_s: seconds to go, None where that is not known.
        metric: best validation figure so far, None where there is none.
        started, ended: s since 1970, None before that.
        result: what came out, JSON-able.
        error: the last line of what went wrong; the whole traceback is in the job's log.
        attempts: how often it was started; more than 1 where its process was killed and it went on.
        deaths: attempts in a row that were killed and came no further than those before.
        furthest: largest fraction that any attempt reached.
        refused: of an ERROR, whether the same would come of it again: labels or settings are not fit for the work.
    """

    status: Status = "SUBMITTED"
    fraction: float = 0.0
    epoch: int = 0
    epochs: int = 0
    eta_s: float | None = None
    metric: float | None = None
    started: float | None = None
    ended: float | None = None
    result: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    attempts: int = 0
    deaths: int = 0
    furthest: float = 0.0
    refused: bool = False


class Reporter(Protocol):
    """What a job's work talks to; :class:`tumorseg.adapters.jobs.reporter.Reporter` writes it into the job's folder."""

    folder: Path

    def line(self, text: str) -> None:
        """Add a line to the job's log."""

    def progress(self, fraction: float, *, epoch: int = 0, epochs: int = 0, metric: float | None = None) -> None:
        """Say how far it is, in [0, 1]; cheap enough for every batch."""

    def stopped(self) -> bool:
        """Whether somebody cancelled the job; the work then ends soon, leaving what it needs to go on."""

    def result(self, values: Mapping[str, Any]) -> None:
        """Say what came out; the job is then DONE as soon as its work returns, also where it was told to stop."""


class Run(Protocol):
    """The work of one kind of job, run in the worker's process; an exception makes the job an ERROR.

    It is called again, in the same folder, after its process was killed or the server ended, and goes on from what it
    finds there. Where ``reporter.stopped()`` it leaves there what it needs for that, and returns without a result.
    """

    def __call__(self, job: Job, config: AppConfig, reporter: Reporter) -> None:
        """Do it."""
