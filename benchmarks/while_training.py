"""How long an inference takes while the server trains, against the same server at rest. Ratios in one run.

Run ``python -m benchmarks.while_training``. One server with copies of the sample study, all labelled; a training of its
model is asked for over HTTP. Then blocks of requests follow each other in turn: the training stopped for a moment
(SIGSTOP), the training running, and, with the server's training stopped again, the same training as one would start it
by hand (every thread, usual priority), which is what stock MONAI Label does beside its server.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from typing import Annotated, Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen
from uuid import uuid4

import typer
from rich.progress import track

from benchmarks import machine
from benchmarks.load.studies import copy_study
from benchmarks.processes import cpu_seconds, family
from benchmarks.servers import ROOT, Running, ours, running
from benchmarks.viewers import ask_info, ask_ohif
from tumorseg.errors import UnavailableError
from tumorseg.registry import DEFAULT_MODEL

STUDY = ROOT / "sample_data" / "lgg_dicom"
RESULT = ROOT / "benchmarks" / "results" / "while_training.json"
PATIENTS = 4
#: A training must not be over before the last block.
MINUTES, EPOCHS = 120, 10_000
START_S = 300.0
#: Until a process that goes on computes again, and one that was ended has given back the processor.
SETTLE_S = 2.0
_WORKER = b"tumorseg.adapters.jobs.worker"

app = typer.Typer(add_completion=False)


@app.command()
def main(
    rounds: Annotated[int, typer.Option(min=1, help="Blocks of each kind.")] = 6,
    requests: Annotated[int, typer.Option(min=2, help="Inferences in a block.")] = 8,
    model: Annotated[str, typer.Option(help="What is asked and trained.")] = DEFAULT_MODEL,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the server's inferences.")] = os.cpu_count() or 1,
    json_path: Annotated[Path, typer.Option("--json", help="Where the numbers are written.")] = RESULT,
) -> None:
    """Measure inferences beside a training of the server, beside a plain one, and at rest."""
    with tempfile.TemporaryDirectory(prefix="tumorseg-benchmark-") as folder:
        scratch = Path(folder)
        images = copy_study(STUDY, scratch / "studies", PATIENTS)
        launch = ours(
            "ours", scratch / "studies", images[0], scratch, model, state=f"{scratch}/state", train_minutes=str(MINUTES)
        )
        try:
            with running(launch, scratch / "logs", threads) as server:
                _label_all(server, images)
                seconds = _blocks(server, images, rounds, requests, _train(server))
        except UnavailableError as error:
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(2) from None
    figures = {name: _figures(asked) for name, asked in seconds.items()}
    ratios = {
        f"{name}_{what}": round(said[what] / figures["idle"][what], 2)
        for name, said in figures.items()
        for what in ("median_ms", "p95_ms")
        if name != "idle"
    }
    result = {
        "model": model,
        "infer": figures,
        "ratio": ratios,
        "settings": {"rounds": rounds, "requests": requests, "threads": threads, "patients": PATIENTS},
        "machine": machine.machine() | {"busy": machine.busy()},
        "versions": machine.versions(),
        "taken": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    json_path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    typer.echo(json.dumps({"idle_ms": figures["idle"]["median_ms"], **ratios}))


def _blocks(
    server: Running, images: list[str], rounds: int, requests: int, worker: int
) -> dict[str, list[dict[str, float]]]:
    """Ask in turn in every state; return the seconds of each request by state."""
    states: dict[str, Callable[[], Any]] = {
        "idle": lambda: _stopped(worker),
        "training": lambda: _alive(worker),
        "plain_training": lambda: _plain(worker, server.launch.model),
    }
    seconds: dict[str, list[dict[str, float]]] = {name: [] for name in states}
    for _ in track(range(rounds), "blocks"):
        for name, state in states.items():
            with state():
                ask_ohif(server.address, server.launch.model, images[0])  # what the change itself costs is not counted
                for number in range(requests):
                    image = images[number % len(images)]
                    infer = ask_ohif(server.address, server.launch.model, image).seconds
                    seconds[name].append({"infer": infer, "info": ask_info(server.address)})
    return seconds


@contextmanager
def _stopped(worker: int) -> Iterator[None]:
    os.kill(worker, signal.SIGSTOP)
    time.sleep(SETTLE_S)
    try:
        yield
    finally:
        os.kill(worker, signal.SIGCONT)


@contextmanager
def _alive(worker: int) -> Iterator[None]:
    """Let the server's training run; it must do so to the end of the block."""
    time.sleep(SETTLE_S)
    before = cpu_seconds(worker)
    yield
    if cpu_seconds(worker) <= before:
        raise UnavailableError("the server's training computed nothing in a block: the figures would mean nothing")


@contextmanager
def _plain(worker: int, model: str) -> Iterator[None]:
    with _stopped(worker):
        command = [sys.executable, "-m", "benchmarks.plain_training", model]
        free = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
        with subprocess.Popen(command, cwd=ROOT, env=free, stdout=subprocess.DEVNULL) as process:
            try:
                _until("the plain training", lambda: cpu_seconds(process.pid) > 20 or process.poll() is not None)
                if process.poll() is not None:
                    raise UnavailableError("the plain training ended by itself")
                yield
            finally:
                process.kill()


def _figures(asked: list[dict[str, float]]) -> dict[str, float]:
    infer, info = ([one[name] * 1000 for one in asked] for name in ("infer", "info"))
    return {
        "requests": len(asked),
        "median_ms": round(median(infer), 1),
        "p95_ms": round(quantiles(infer, n=20)[-1], 1),
        "info_median_ms": round(median(info), 1),
        "info_p95_ms": round(quantiles(info, n=20)[-1], 1),
    }


def _label_all(server: Running, images: list[str]) -> None:
    """Save the model's own answer as the final label of every study."""
    for image in images:
        mask = ask_ohif(server.address, server.launch.model, image).nrrd
        boundary = uuid4().hex
        parts = (
            (b'name="params"', b'{"label_info": [{"name": "tumour", "idx": 1}]}'),
            (b'name="label"; filename="label.nrrd"', mask),
        )
        body = b"".join(
            b"--%b\r\nContent-Disposition: form-data; %b\r\n\r\n%b\r\n" % (boundary.encode(), head, content)
            for head, content in parts
        )
        kind = f"multipart/form-data; boundary={boundary}"
        _send(
            "PUT", f"{server.address}/datastore/label?image={image}&tag=final", body + f"--{boundary}--".encode(), kind
        )


def _train(server: Running) -> int:
    """Start a training; return the process that does it, once it computes."""
    address = f"{server.address}/train/{server.launch.model}"
    _send("POST", address, json.dumps({"max_epochs": EPOCHS}).encode(), "application/json")
    _until("the first step of the training", lambda: _stats(server).get("epoch"))
    worker = _worker(server)
    if worker is None:
        raise UnavailableError("the server trains, but in no process of its own")
    return worker


def _stats(server: Running) -> dict[str, Any]:
    with urlopen(f"{server.address}/info/") as answer:
        said: dict[str, Any] = json.load(answer)["train_stats"].get(server.launch.model, {})
        return said


def _worker(server: Running) -> int | None:
    """Return the process that does the server's jobs, None where there is none."""
    return next((pid for pid in family(server.pid) if _WORKER in Path(f"/proc/{pid}/cmdline").read_bytes()), None)


def _until(what: str, done: Callable[[], Any]) -> None:
    end = time.monotonic() + START_S
    while not done():
        if time.monotonic() > end:
            raise UnavailableError(f"{what} did not come within {START_S:g} s")
        time.sleep(0.2)


def _send(method: str, url: str, body: bytes, kind: str) -> None:
    try:
        with urlopen(Request(url, data=body, headers={"Content-Type": kind}, method=method), timeout=60) as answer:
            answer.read()
    except HTTPError as error:
        raise UnavailableError(f"{url} answered {error.code}: {error.read().decode()[:500]}") from None


if __name__ == "__main__":
    app()
