"""What a job's work talks to: it writes into the job's folder how far the work is and how it ended."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tumorseg.adapters.jobs import records
from tumorseg.adapters.jobs.log import Log, without_secrets
from tumorseg.adapters.jobs.pace import Pace
from tumorseg.adapters.jobs.types import JobState

#: An attempt that got further by this much was worth it, also if it is killed then.
STEP = 0.01
_LONGEST_ERROR = 1000  # characters


class Reporter:
    """The :class:`tumorseg.adapters.jobs.types.Reporter` of the worker's process.

    ``progress`` only remembers; :meth:`flush`, called twice a second by another thread, writes. Safe to be called from
    several threads.

    Args:
        folder: the job's.
        log: its log; ``log.txt`` in the folder by default.
        clock: s, only goes forward.
    """

    def __init__(self, folder: Path, log: Log | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.folder = folder
        self._log = log or Log(folder / records.LOG)
        self._clock = clock
        self._pace = Pace()
        self._lock = threading.RLock()
        self._state = self._written = records.read_state(folder)
        self._result: dict[str, Any] | None = None
        self._stop = False
        self._finished = False

    def line(self, text: str) -> None:
        """Add a line to the job's log."""
        self._log.line(text)

    def progress(self, fraction: float, *, epoch: int = 0, epochs: int = 0, metric: float | None = None) -> None:
        """Say how far it is, in [0, 1]; the last metric that was said stays."""
        fraction = min(max(fraction, 0.0), 1.0) if math.isfinite(fraction) else self._state.fraction
        metric = None if metric is None else _finite(float(metric))
        with self._lock:
            old = self._state
            further = fraction >= old.furthest + STEP
            self._state = replace(
                old,
                fraction=fraction,
                epoch=epoch or old.epoch,
                epochs=epochs or old.epochs,
                metric=old.metric if metric is None else metric,
                eta_s=self._pace.update(fraction, self._clock()),
                furthest=fraction if further else old.furthest,
                deaths=0 if further else old.deaths,
            )

    def stopped(self) -> bool:
        """Whether the work should end soon: somebody cancelled it, or the server ends."""
        return self._stop

    def stop(self) -> None:
        """Ask the work to end soon; called by a signal's handler, so it does nothing else."""
        self._stop = True

    def result(self, values: Mapping[str, Any]) -> None:
        """Say what came out; the job is then DONE as soon as its work returns, also where it was told to stop.

        Raises:
            TypeError: values that cannot be written as JSON.
        """
        plain = _finite(json.loads(json.dumps(dict(values))))
        with self._lock:
            self._result = plain

    def flush(self) -> None:
        """Write what changed since the last time."""
        with self._lock:
            if not self._finished and self._state is not self._written:
                records.write_state(self.folder, self._state)
                self._written = self._state

    def finish(self, error: str = "", *, refused: bool = False) -> JobState:
        """Write how it ended; what is said later changes nothing any more.

        Args:
            error: one sentence; empty where the work returned.
            refused: the same would come of it again.
        """
        with self._lock:
            if not self._finished:
                state = self._ended(without_secrets(" ".join(error.split()))[:_LONGEST_ERROR])
                self._state = replace(state, refused=refused and state.status == "ERROR")
                records.write_state(self.folder, self._state)
                self._finished = True
            return self._state

    def _ended(self, error: str) -> JobState:
        """Return the last state: done, failed, cancelled, or to be gone on with by the next server."""
        now, state = time.time(), replace(self._state, eta_s=None)
        if not error and (self._result is not None or not self._stop):
            return replace(state, status="DONE", fraction=1.0, ended=now, result=self._result or {})
        if self._stop and (self.folder / records.CANCEL).exists():
            return replace(state, status="STOPPED", ended=now)
        if error:
            return replace(state, status="ERROR", ended=now, error=error)
        return replace(state, status="SUBMITTED")


def _finite(value: Any) -> Any:
    """Replace NaN and infinities, which JSON does not have, by None."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
