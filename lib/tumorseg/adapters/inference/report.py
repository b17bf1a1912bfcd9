"""What a queue says about itself and about every job that is over."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class QueueStats:
    """A look at a queue.

    Attributes:
        waiting: jobs that are to be read, are being read, or wait for their device.
        running: jobs on a device, and those whose answer is being put together.
        capacity: how many may wait.
        done: answered since the start.
        failed: ended with an error.
        refused: turned away because the queue was full or closing.
        cancelled: given up because nobody waited for the answer any more.
        coalesced: requests that were answered by a job that another request had started.
        batched: jobs that shared a run of the network with others.
    """

    waiting: int = 0
    running: int = 0
    capacity: int = 0
    done: int = 0
    failed: int = 0
    refused: int = 0
    cancelled: int = 0
    coalesced: int = 0
    batched: int = 0


@dataclass(frozen=True)
class JobReport:
    """One job that is over, or one request that was turned away.

    Attributes:
        model: name of the model.
        waited_s: from the request to the device, without reading.
        ran_s: on the device, together with those it shared the run with.
        outcome: ``done``, ``failed``, ``cancelled`` or ``refused``.
        batch: jobs in that run.
        rung: ``full``, or what a GPU without memory left for it (:mod:`tumorseg.models.engines.ladder`).
    """

    model: str
    waited_s: float
    ran_s: float
    outcome: str
    batch: int = 1
    rung: str = "full"
