"""``python -m benchmarks.load``: many clients at once, then many requests; the last line sums up."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

from benchmarks import machine
from benchmarks.load import lasting, under_load
from benchmarks.load.report import show
from benchmarks.servers import ROOT
from tumorseg.errors import TumorSegError

app = typer.Typer(add_completion=False)


@app.command()
def main(
    seconds: Annotated[float, typer.Option(min=1, help="Seconds under load.")] = 60,
    clients: Annotated[int, typer.Option(min=1, help="Clients at once.")] = 50,
    requests: Annotated[int, typer.Option(min=0, help="Requests of the search for leaks; 0 leaves it out.")] = 10_000,
    studies: Annotated[int, typer.Option(min=1, help="Copies of the sample study that are served.")] = 24,
    stock_seconds: Annotated[float, typer.Option(min=0, help="Seconds of stock under load; 0 leaves it out.")] = 60,
    seed: Annotated[int, typer.Option(help="Seed of what the clients choose.")] = 1,
    threads: Annotated[int, typer.Option(min=1, help="Threads for each server.")] = os.cpu_count() or 1,
    cache: Annotated[Path, typer.Option(help="Folder of the stock environment (7 GB).")] = ROOT
    / ".cache"
    / "benchmarks",
    json_path: Annotated[Path, typer.Option("--json", help="Where the numbers are written.")] = ROOT
    / "benchmarks"
    / "results"
    / "load.json",
) -> None:
    """Load our server and stock MONAI Label, and see what ours holds after many requests."""
    console = Console(stderr=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers are stopped too
    load_before = machine.busy()
    with tempfile.TemporaryDirectory(prefix="tumorseg-load-") as folder, Progress(console=console) as progress:
        scratch = Path(folder)

        def timed(title: str, total: float) -> under_load.Step:
            task = progress.add_task(title, total=total)
            return lambda took, done: progress.update(
                task, completed=min(took, total), description=f"{title}: {done} requests"
            )

        try:
            model = _default_model()
            ours = under_load.load_ours(
                scratch, model, clients, seconds, threads, studies, timed(f"{clients} clients", seconds)
            )
            stock = _stock(scratch, cache, clients, stock_seconds, threads, studies, timed("stock", stock_seconds))
            left = _lasting(scratch, requests, seed, progress)
        except TumorSegError as error:
            console.print(f"error: {error}", style="red", markup=False)
            raise typer.Exit(2) from None
    result = {
        "ours": ours,
        "stock": stock,
        "lasting": left,
        "settings": {
            "clients": clients,
            "seconds": seconds,
            "pause_s": under_load.PAUSE_S,
            "lead_in_s": under_load.LEAD_IN_S,
            "threads": threads,
            "model": model,
            "stock_model": under_load.STOCK_MODEL,
        },
        "load_average": [load_before, machine.busy()],
        "machine": machine.machine(),
        "versions": machine.versions(sys.executable),
        "taken": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }
    show(result, console)
    json_path.parent.mkdir(parents=True, exist_ok=True)
    json_path.write_text(json.dumps(result, indent=1) + "\n")
    console.print(f"written to {json_path}")
    line = last_line(result)
    print(json.dumps(line))
    if line["errors"] or left.get("excess"):
        raise typer.Exit(1)


def last_line(result: dict[str, Any]) -> dict[str, Any]:
    """Sum up in the line that is read by programs."""
    ours, stock, left = result["ours"], result["stock"], result["lasting"]
    return {
        "requests": ours["requests"] + left.get("requests", 0),
        "errors": ours["errors"] + left.get("errors", 0),
        "refused": ours["refused"] + left.get("refused", 0),
        "info_p95_ms": ours["latency_ms"]["info"]["p95"],
        "stock_info_p95_ms": stock["latency_ms"]["info"]["p95"] if "latency_ms" in stock else None,
    }


def _stock(
    scratch: Path, cache: Path, clients: int, seconds: float, threads: int, studies: int, step: under_load.Step
) -> dict[str, Any]:
    """Load stock, or say why not."""
    if not seconds:
        return {"absent": "left out by --stock-seconds 0"}
    from benchmarks.serving import STUDY
    from benchmarks.stock.prepare import prepare
    from tumorseg.io import read_study
    from tumorseg.models.resunet import SPEC
    from tumorseg.types import FLAIR, T1, T1GD

    try:
        image = read_study(STUDY, channels=(T1, FLAIR, T1GD))
        made = prepare(cache.resolve(), image, SPEC.weights)
        found: dict[str, Any] = under_load.load_stock(scratch, made, clients, seconds, threads, studies, step)
    except (TumorSegError, OSError) as error:
        return {"absent": str(error)}
    return found


def _lasting(scratch: Path, requests: int, seed: int, progress: Progress) -> dict[str, Any]:
    """Search for leaks."""
    if not requests:
        return {}
    task = progress.add_task("search for leaks", total=requests)
    return lasting.lasting(scratch, requests, seed, lambda done: progress.update(task, completed=done))


def _default_model() -> str:
    from tumorseg.registry import DEFAULT_MODEL, load_model

    return load_model(DEFAULT_MODEL, device="cpu").name


if __name__ == "__main__":
    app()
