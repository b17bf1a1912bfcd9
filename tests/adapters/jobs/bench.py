"""What the tests of jobs share: a runner with test work, servers to be killed, and waiting for what must come."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tumorseg.adapters.jobs import orders
from tumorseg.adapters.jobs.runner import SILENCE_S, JobRunner
from tumorseg.adapters.jobs.types import Job, JobState
from tumorseg.config import AppConfig

COMMAND = (sys.executable, "-P", "-m", "tests.adapters.jobs.busy_worker")
#: Far more than anything here takes, also where several test runs share two processors.
PATIENCE_S = 120.0


def settings(folder: Path, studies: str = "studies", **given: Any) -> AppConfig:
    """Return a configuration whose state lies in ``folder``."""
    return AppConfig(studies, **{"state": folder / "state", "cache": folder / "cache", "device": "cpu", **given})


class Bench(JobRunner):
    """A runner that keeps what it was told."""

    def __init__(self, config: AppConfig, grace_s: float = 10.0, silence_s: float = SILENCE_S) -> None:
        self.told: list[tuple[str, str]] = []
        super().__init__(config, self._note, command=COMMAND, grace_s=grace_s, silence_s=silence_s)

    def _note(self, job: Job, state: JobState) -> None:
        self.told.append((job.id, state.status))

    def do(self, what: str, **more: Any) -> str:
        """Put test work into the queue; return the job's id."""
        return self.submit("train", "tiny", {"do": what, **more}, "anna").id

    def state(self, id: str) -> JobState:
        return self.store.state(id)

    def after(self, id: str, *statuses: str) -> JobState:
        """Wait until the job has one of these statuses."""
        wait_for(lambda: self.state(id).status in statuses, lambda: f"{self.state(id)}\n" + "\n".join(self.log(id)))
        return self.state(id)

    def said(self, id: str, text: str) -> None:
        """Wait until the job's log has this text."""
        wait_for(lambda: text in "\n".join(self.log(id)), lambda: f"{text!r} is not in {self.log(id)}")

    def process(self, id: str) -> int:
        """Wait until the job's work has begun; return the id of its newest process."""
        self.said(id, " process ")
        return int([line.split()[-1] for line in self.log(id) if " process " in line][-1])


@contextmanager
def running(config: AppConfig, grace_s: float = 10.0, silence_s: float = SILENCE_S) -> Iterator[Bench]:
    bench = Bench(config, grace_s, silence_s)
    bench.start()
    try:
        yield bench
    finally:
        bench.close()


@contextmanager
def server(config: AppConfig) -> Iterator[subprocess.Popen[bytes]]:
    """Run jobs in another process, which can be killed."""
    program = [sys.executable, "-P", "-m", "tests.adapters.jobs.bench"]
    environment = {**os.environ, "PYTHONPATH": orders.import_paths()}
    process = subprocess.Popen(program, stdin=subprocess.PIPE, env=environment)
    try:
        assert process.stdin is not None
        process.stdin.write(orders.encode(config))
        process.stdin.flush()
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for(condition: Callable[[], object], why: Callable[[], str] = lambda: "") -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, f"did not come: {why()}"
        time.sleep(0.02)


def is_alive(process: int) -> bool:
    """Whether a process runs; one that only waits to be collected does not."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


if __name__ == "__main__":
    with running(orders.read(sys.stdin.buffer)[0]):
        sys.stdin.buffer.read()
