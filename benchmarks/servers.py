"""Servers as processes of their own: how ours and stock's are started, and one that runs."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.stock.deepedit import DeepEdit
from benchmarks.stock.prepare import STUDY_ID, Stock
from tumorseg.errors import UnavailableError

ROOT = Path(__file__).parents[1]
START_TIMEOUT_S = 300.0


@dataclass(frozen=True)
class Launch:
    """How a server is started.

    Attributes:
        name: what the report calls it.
        command: arguments; ``{port}`` stands for the port.
        model: what it calls the measured model.
        image: what it calls the sample study.
        environment: variables beside those of this process.
    """

    name: str
    command: tuple[str, ...]
    model: str
    image: str
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Running:
    """A server that listens. ``begun`` is :func:`time.perf_counter` just before its process was started."""

    launch: Launch
    address: str
    pid: int
    begun: float


def ours(name: str, study: Path, series: str, scratch: Path, model: str, **settings: str) -> Launch:
    """Our server over the DICOM study.

    Its index, images and labels lie below ``scratch/name``. ``scratch/user`` stands for the user's own cache, which all
    share and which holds the converted networks: it is empty before the first start.
    """
    conf = {"models": model, "cache": f"{scratch}/{name}/cache", "labels": f"{scratch}/{name}/labels", **settings}
    pairs = [f"{key}={value}" for key, value in conf.items()]
    command = (sys.executable, "-m", "tumorseg.server.run", str(study), "port={port}", *pairs)
    return Launch(name, command, model, series, {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": f"{scratch}/user"})


def stock(name: str, made: Stock, model: str, batch: int) -> Launch:
    """Stock MONAI Label over the study as one NIfTI."""
    conf = {"lib": str(ROOT / "lib"), "weights": str(made.weights), "batch": str(batch)}
    return Launch(name, _monailabel(made.python, made.app, made.studies, conf), model, STUDY_ID, _path(made.python))


def stock_deepedit(name: str, made: DeepEdit, image: str) -> Launch:
    """Stock MONAI Label's own radiology app with DeepEdit as it ships; what a click does not need is left out."""
    left_out = ("skip_scoring", "skip_strategies", "skip_trainers")
    conf = {"models": made.model, "use_pretrained_model": "false", "scribbles": "false", "sam2": "false"}
    conf |= dict.fromkeys(left_out, "true")
    return Launch(name, _monailabel(made.python, made.app, made.studies, conf), made.model, image, _path(made.python))


def _monailabel(python: Path, app: Path, studies: Path, conf: Mapping[str, str]) -> tuple[str, ...]:
    pairs = [part for key, value in conf.items() for part in ("--conf", key, value)]
    start = ("-m", "monailabel.main", "start_server", "--app", str(app), "--studies", str(studies))
    where = ("--host", "127.0.0.1", "--port", "{port}", "--log_level", "warning")
    return (str(python), *start, *where, *pairs)


def _path(python: Path) -> dict[str, str]:
    """Say where MONAI Label finds its DICOM converter, which it would fetch from the internet."""
    return {"PATH": f"{python.parent}{os.pathsep}{os.environ.get('PATH', '')}"}


@contextmanager
def running(launch: Launch, logs: Path, threads: int) -> Iterator[Running]:
    """Run a server on a free port until the block ends; its output goes to ``logs/<name>.log``."""
    port = _free_port()
    command = [part.replace("{port}", str(port)) for part in launch.command]
    counts = dict.fromkeys(("OMP_NUM_THREADS", "TUMORSEG_THREADS"), str(threads))
    environment = {**os.environ, **launch.environment, **counts}
    logs.mkdir(parents=True, exist_ok=True)
    with (logs / f"{launch.name}.log").open("wb") as log:
        begun = time.perf_counter()
        process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
        try:
            _wait_for(process, port, Path(log.name))
            yield Running(launch, f"http://127.0.0.1:{port}", process.pid, begun)
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Return as soon as a connection is taken."""
    end = time.monotonic() + START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < end:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            time.sleep(0.01)
    raise UnavailableError(f"the server did not start:\n{log.read_text(errors='replace')[-2000:]}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])
