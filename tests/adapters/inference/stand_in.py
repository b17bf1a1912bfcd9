"""A task whose steps a test can hold up, fail and watch."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from tumorseg.adapters.inference.job import StoppedError

PATIENCE_S = 20.0


class Probe:
    """See :class:`tumorseg.adapters.inference.job.Task`; ``gate`` and ``disk`` hold it on the device and before it."""

    def __init__(
        self,
        name: str = "a",
        *,
        key: Hashable | None = None,
        group: Hashable | None = None,
        size: int = 1,
        nbytes: int = 0,
        gate: threading.Event | None = None,
        disk: threading.Event | None = None,
        fails: str = "",
        device: str = "cpu",
    ) -> None:
        self.name, self.model, self.device, self.key, self.group = name, f"model-{name}", device, key, group
        self.size, self.nbytes, self.queued_s, self.rung, self.stop = size, nbytes, 0.0, "full", False
        self.gate, self.disk, self.fails = gate, disk, fails
        self.between: Callable[[], None] = lambda: None
        self.read, self.runs = threading.Event(), []
        self.started, self.began = threading.Event(), 0.0
        self.threads: dict[str, str] = {}

    def prepare(self) -> None:
        self._note("prepare")
        assert self.disk is None or self.disk.wait(PATIENCE_S)
        if self.fails == "prepare":
            raise ValueError(f"cannot read {self.name}")
        self.read.set()

    def run(self, group: Sequence[Probe]) -> list[Exception | None]:
        for task in group:
            task._note("run")
            task.runs.append([one.name for one in group])
            task.began = time.monotonic()
            task.started.set()
        end = time.monotonic() + PATIENCE_S
        while self.gate is not None and not self.gate.is_set():
            if all(task.stop for task in group):
                raise StoppedError("stopped between two slices")
            assert time.monotonic() < end, "the test forgot to open the gate"
            group[0].between()
            time.sleep(0.005)
        if any(task.fails == "run" for task in group):
            raise ValueError("somebody in this run is bad")
        return [ValueError(f"bad {task.name}") if task.fails == "alone" else None for task in group]

    def finish(self) -> None:
        self._note("finish")
        if self.fails == "finish":
            raise ValueError(f"cannot finish {self.name}")

    def answer(self, wanted: Any) -> Any:
        self._note("answer")
        if wanted == "impossible":
            raise ValueError("no such form")
        return self.name, wanted

    def _note(self, step: str) -> None:
        self.threads[step] = threading.current_thread().name


def until(condition: Any, what: str = "") -> None:
    """Wait until something holds."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, what or "waited in vain"
        time.sleep(0.005)
