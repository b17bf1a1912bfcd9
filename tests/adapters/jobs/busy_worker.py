"""The worker with work of its own, which imports next to nothing: what it does stands in the job's request."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tumorseg.adapters.jobs import worker
from tumorseg.adapters.jobs.limits import THREAD_VARIABLES
from tumorseg.errors import InputError

if TYPE_CHECKING:
    from tumorseg.adapters.jobs.types import Job, Reporter
    from tumorseg.config import AppConfig

#: Far longer than any test waits.
FOREVER_S = 600.0


def run(job: Job, config: AppConfig, reporter: Reporter) -> None:
    """Do what ``request["do"]`` says."""
    reporter.line(f"process {os.getpid()}")
    globals()[f"do_{job.request['do']}"](job, config, reporter)


def do_nothing(job: Job, config: AppConfig, reporter: Reporter) -> None:
    reporter.line("nothing to do")
    reporter.progress(1.0, epoch=3, epochs=3, metric=0.5)
    reporter.result({"version": "0001-abcd", "nan": float("nan")})


def do_tell(job: Job, config: AppConfig, reporter: Reporter) -> None:
    """Say how this process runs and what it was given."""
    reporter.line(f"the studies are at {config.studies}")
    sys.stdout.write("printed\n")
    logging.getLogger("tumorseg.work").info("logged")
    os.write(2, b"said by C code\n")
    reporter.result(
        {
            "nice": os.getpriority(os.PRIO_PROCESS, 0),
            "session": os.getsid(0),
            "group_is_own": os.getpgrp() == os.getpid(),
            "autogroup": read("/proc/self/autogroup").partition(" ")[0],
            "oom": read("/proc/self/oom_score_adj").strip(),
            "environment": {name: os.environ.get(name) for name in THREAD_VARIABLES},
            "arguments": sys.argv,
            "knows_address": config.studies == os.environ.get("EXPECTED_STUDIES"),
            "torch": "torch" in sys.modules,
        }
    )


def read(path: str) -> str:
    """Return a file's text; nothing where there is none, as on other systems."""
    return Path(path).read_text() if Path(path).exists() else ""


def do_fail(job: Job, config: AppConfig, reporter: Reporter) -> None:
    def deep_inside() -> None:
        raise KeyError("the wrong key")

    deep_inside()


def do_refuse(job: Job, config: AppConfig, reporter: Reporter) -> None:
    raise InputError("expected at least 2 labelled patients, got 0: label some first")


def do_exit(job: Job, config: AppConfig, reporter: Reporter) -> None:
    sys.exit("good bye")


def do_crash(job: Job, config: AppConfig, reporter: Reporter) -> None:
    """End as C code does that finds itself broken."""
    os.write(2, b"assertion failed in C code\n")
    os.kill(os.getpid(), signal.SIGABRT)


def do_eat(job: Job, config: AppConfig, reporter: Reporter) -> None:
    kept = [bytearray(64 << 20) for _ in range(64)]
    raise AssertionError(f"had {len(kept) * 64} MB")


def do_count(job: Job, config: AppConfig, reporter: Reporter) -> None:
    """Count to ``request["to"]``, one step each time a file ``go`` allows it; go on from what was left."""
    state, allowed = reporter.folder / "count.pt", reporter.folder / "go"
    done = json.loads(state.read_text()) if state.exists() else 0
    reporter.line(f"begins at {done}")
    reporter.progress(done / job.request["to"])
    while done < job.request["to"]:
        while not reporter.stopped() and (int(allowed.read_text() or 0) if allowed.exists() else 0) <= done:
            time.sleep(0.02)
        if reporter.stopped():
            reporter.line(f"leaves at {done}")
            return
        done += 1
        temporary = state.with_suffix(".tmp")
        temporary.write_text(json.dumps(done))
        temporary.replace(state)
        reporter.progress(done / job.request["to"])
    reporter.result({"count": done})


def do_alone(job: Job, config: AppConfig, reporter: Reporter) -> None:
    """Fail where another job runs at the same time."""
    mark = config.state / "somebody-works"
    mark.touch(exist_ok=False)
    time.sleep(0.3)
    mark.unlink()


def do_wait(job: Job, config: AppConfig, reporter: Reporter) -> None:
    end = time.monotonic() + FOREVER_S
    reporter.line("waiting")
    while not reporter.stopped() and time.monotonic() < end:
        time.sleep(0.02)


def do_hang(job: Job, config: AppConfig, reporter: Reporter) -> None:
    """The first time wait for something that never comes, without looking whether it should stop."""
    mark = reporter.folder / "hung"
    if not mark.exists():
        mark.touch()
        time.sleep(FOREVER_S)
    reporter.result({"after": "hanging"})


def do_not_listen(job: Job, config: AppConfig, reporter: Reporter) -> None:
    """Be in the middle of something that cannot be interrupted, with a child that does not listen either."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({FOREVER_S})"])
    reporter.line(f"child {child.pid}")
    child.wait()


if __name__ == "__main__":
    os._exit(worker.main(sys.argv[1:], {"train": "tests.adapters.jobs.busy_worker:run"}))
