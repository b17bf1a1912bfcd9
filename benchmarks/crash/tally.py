"""What both parts count: jobs that are given out until each was acknowledged, and what the kills cost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import Empty, Queue


@dataclass(kw_only=True)
class Tally:
    """Jobs and what became of them; for several threads.

    Attributes:
        acknowledged: numbers of the jobs that were acknowledged.
        kills: processes killed.
        interrupted: saves that a kill cut off before they were acknowledged.
    """

    acknowledged: list[int] = field(default_factory=list)
    kills: int = 0
    interrupted: int = 0
    _jobs: Queue[int] = field(default_factory=Queue)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def give_out(self, jobs: range) -> None:
        """Have these done."""
        for number in jobs:
            self._jobs.put(number)

    def next(self) -> int | None:
        """Return a job, None where all are given out."""
        try:
            return self._jobs.get_nowait()
        except Empty:
            return None

    def count(self, number: int, acknowledged: bool, step: Callable[[], None]) -> None:
        """Take what became of a job; one that was not acknowledged is given out again."""
        if acknowledged:
            with self._lock:
                self.acknowledged.append(number)
            step()
        else:
            self._jobs.put(number)
            with self._lock:
                self.interrupted += 1

    def killed(self) -> None:
        """Count a process that was killed."""
        with self._lock:
            self.kills += 1
