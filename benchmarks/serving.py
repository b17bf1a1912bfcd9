"""Our server against stock MONAI Label on the sample study, as ratios in one run.

Run ``python -m benchmarks.serving``. What is compared, and what stock is spared, is said in ``docs/performance.md``.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

from benchmarks import given_weights, machine, masks, measure, report
from benchmarks.measure import Subject
from benchmarks.processes import MemoryWatch
from benchmarks.servers import ROOT, Launch, ours, running, stock
from benchmarks.stock.prepare import Stock, prepare
from tumorseg.errors import TumorSegError, UnavailableError

if TYPE_CHECKING:
    from tumorseg.types import StudyImage

STUDY = ROOT / "sample_data" / "lgg_dicom"
MODEL = "resunet"
# Stock's best on two cores, and its default: 4 is a little slower, 8 by half.
STOCK_BATCH = 1
NETWORK_BATCHES = (1, 4, 8)

app = typer.Typer(add_completion=False)


@app.command()
def main(
    requests: Annotated[int, typer.Option(min=1, help="Warm requests of each kind.")] = 10,
    starts: Annotated[int, typer.Option(min=1, help="Starts of each server, for the time to the first mask.")] = 3,
    json_path: Annotated[Path, typer.Option("--json", help="Where the numbers are written.")] = ROOT
    / "benchmarks"
    / "results"
    / "serving.json",
    cache: Annotated[Path, typer.Option(help="Folder of the stock environment (7 GB) and what is prepared.")] = ROOT
    / ".cache"
    / "benchmarks",
    weights: Annotated[
        Path | None, typer.Option(exists=True, help="Weights of the ResUNet (safetensors); those that ship by default.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads for each server.")] = os.cpu_count() or 1,
    prepare_only: Annotated[bool, typer.Option("--prepare", help="Only build the stock environment.")] = False,
) -> None:
    """Measure our server and stock MONAI Label with the same network, weights, study, machine and threads."""
    console = Console(stderr=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers are stopped too
    try:
        image, file = _study(), _weights(weights)
        with console.status("preparing the stock environment (minutes the first time)"):
            made = prepare(cache.resolve(), image, file)
        if prepare_only:
            return
        result = run(image, made, file, weights is not None, requests, starts, threads, console)
    except TumorSegError as error:
        console.print(f"error: {error}", style="red", markup=False)
        raise typer.Exit(2) from None
    report.show(result, Console())
    json_path.parent.mkdir(parents=True, exist_ok=True)
    json_path.write_text(json.dumps(result, indent=1) + "\n")
    console.print(f"written to {json_path}")


def run(
    image: StudyImage,
    made: Stock,
    weights: Path,
    given: bool,
    requests: int,
    starts: int,
    threads: int,
    console: Console,
) -> dict[str, Any]:
    """Take all measurements; ``given`` says that ``weights`` are not those that ship."""
    load_before = machine.busy()
    with tempfile.TemporaryDirectory(prefix="tumorseg-benchmark-") as folder, Progress(console=console) as progress:
        scratch = Path(folder)
        launches = _launches(image, made, weights, given, scratch)
        task = progress.add_task("starts", total=2 * starts + 1)
        result = _starts(launches, scratch, starts, threads, lambda: progress.advance(task))
        task = progress.add_task("warm requests", total=requests + measure.WARM_UPS)
        warm = _warm(launches, scratch, requests, threads, lambda: progress.advance(task))
        result = {**result, **warm, "memory_mb": result["memory_mb"] | warm["memory_mb"]}
        progress.add_task("the network alone", total=None)
        result["network_only_s"] = _network(image, weights, threads)
    result["ratios"] = report.ratios(result)
    result["settings"] = {"requests": requests, "starts": starts, "threads": threads, "stock_batch": STOCK_BATCH}
    result["load_average"] = [load_before, machine.busy()]
    result["machine"] = machine.machine()
    result["versions"] = {"ours": machine.versions(sys.executable), "stock": machine.versions(made.python)}
    result["weights"] = _identity(weights)
    result["taken"] = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return dict(sorted(result.items(), key=lambda item: item[0] != "ratios"))


def _launches(image: StudyImage, made: Stock, weights: Path, given: bool, scratch: Path) -> dict[str, Launch]:
    """Name every server that takes part."""
    series = str(image.source["series_uid"])
    model, settings = MODEL, {}
    if given:
        os.environ[given_weights.VARIABLE] = str(weights.resolve())
        model, settings = "given", {"extra_models": f"given={given_weights.__name__}:build"}
    launches = {
        "ours": ours("ours", STUDY, series, scratch, model, **settings),
        "ours_uncached": ours("ours_uncached", STUDY, series, scratch, model, **settings, image_cache_mb="0"),
        "stock": stock("stock", made, MODEL, STOCK_BATCH),
    }
    with contextlib.suppress(UnavailableError):
        launches["ours_default"] = ours("ours_default", STUDY, series, scratch, _default_model())
    return launches


def _starts(
    launches: dict[str, Launch], scratch: Path, starts: int, threads: int, step: Callable[[], None]
) -> dict[str, Any]:
    """Start one server at a time until its first mask; ours once with no converted network in the user's cache."""
    names = ["ours_first_ever", *("ours", "stock") * starts]
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for name in names:
        launch = launches["ours" if name == "ours_first_ever" else name]
        took, peak = measure.first_mask(launch, scratch, threads)
        seconds[name].append(took)
        if name == "ours_first_ever":
            first_ever_mb = peak
        step()
    return {"first_mask_s": _rounded(seconds), "memory_mb": {"ours_first_ever": round(first_ever_mb, 1)}}


def _warm(
    launches: dict[str, Launch], scratch: Path, requests: int, threads: int, step: Callable[[], None]
) -> dict[str, Any]:
    """Run all servers at once and measure what is measured on warm ones."""
    with ExitStack() as stack:
        servers = {name: stack.enter_context(running(one, scratch, threads)) for name, one in launches.items()}
        watches = {name: stack.enter_context(MemoryWatch(server.pid)) for name, server in servers.items()}
        subjects = [
            Subject(server, ("ohif", "slicer") if name in ("ours", "stock") else ("ohif",))
            for name, server in servers.items()
        ]
        seen = measure.warm_requests(subjects, requests, step)
        info = {}
        for name in ("ours", "stock"):
            usual = median(seen[name]["ohif"].wall_s)
            info[name] = _rounded(measure.info_latency(servers[name], usual, max(3, requests // 2)))
    mask, _ = masks.read_nrrd(seen["ours"]["ohif"].nrrd)
    others = [name for name in seen if name != "ours"]
    return {
        "warm": report.summary(seen),
        "steps_s": {name: report.steps(seen[name]["slicer"]) for name in ("ours", "stock")},
        "info_s": info,
        "memory_mb": {name: round(watch.peak, 1) for name, watch in watches.items()},
        "dice_to_ours": {
            name: round(masks.agreement(seen["ours"]["ohif"].nrrd, seen[name]["ohif"].nrrd), 5) for name in others
        },
        "mask_voxels": int((mask > 0).sum()),
    }


def _network(image: StudyImage, weights: Path, threads: int) -> dict[str, float]:
    """Time the bare network on the study's own voxels."""
    from tumorseg.models.preparation import preprocess

    seen = measure.network_seconds(weights, preprocess(image), threads, NETWORK_BATCHES, times=3)
    return {batch: round(seconds, 4) for batch, seconds in seen.items()}


def _study() -> StudyImage:
    """Read the sample study as our server does."""
    from tumorseg.io import read_study
    from tumorseg.types import FLAIR, T1, T1GD

    return read_study(STUDY, channels=(T1, FLAIR, T1GD))


def _weights(given: Path | None) -> Path:
    """Return the file of the ResUNet's weights."""
    from tumorseg.models.resunet import SPEC

    file = given or SPEC.weights
    if not file.is_file():
        raise UnavailableError(f"no weights at {file}: train the model, or pass --weights FILE")
    return file


def _default_model() -> str:
    """Return the default model's name; UnavailableError where its weights do not ship (yet)."""
    from tumorseg.registry import DEFAULT_MODEL, load_model

    return load_model(DEFAULT_MODEL, device="cpu").name


def _identity(weights: Path) -> str:
    import hashlib

    return hashlib.sha256(weights.read_bytes()).hexdigest()[:12]


def _rounded(values: dict[str, list[float]]) -> dict[str, list[float]]:
    return {name: [round(value, 4) for value in some] for name, some in values.items()}


if __name__ == "__main__":
    app()
