"""What a click takes over HTTP, ours and stock MONAI Label's DeepEdit, on the same study in one run.

Run ``make bench-click``. A study is 256 x 256 x 24 with three sequences, made of the sample study. Both servers are
real processes, one after the other on an otherwise idle machine, and warm: a click on another study came before. The
request is OHIF's own: all points each time, a raw uint8 NRRD back. The clicks are those of a simulated person who
corrects our answer; stock gets the same points in the same order. Stock's weights are random, which changes its masks
and not its time, and of the three sequences it takes one.

The first click on a study is one that no server has met: it pays for reading the study and for everything that depends
on the image alone. Every further click pays for what depends on the click.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks import machine
from benchmarks.annotator import Annotator, Points, deepedit, latency
from benchmarks.click_study import ClickStudy, write_study
from benchmarks.report import BUSY
from benchmarks.servers import ROOT, Launch, Running, ours, running, stock_deepedit
from benchmarks.stock.deepedit import BACKGROUND, LABEL, prepare_deepedit
from tumorseg.errors import TumorSegError

if TYPE_CHECKING:
    from tumorseg.types import StudyImage

RESULT = ROOT / "benchmarks" / "results" / "click.json"
MODEL = "clicks"

app = typer.Typer(add_completion=False)


@app.command()
def main(
    clicks: Annotated[int, typer.Option(min=1, help="Further clicks on each study.")] = 30,
    studies: Annotated[int, typer.Option(min=1, help="Studies, for the time of the first click.")] = 3,
    stock_clicks: Annotated[
        int, typer.Option(min=0, help="Further clicks of stock on the first study (12 to 22 s each); 0: no stock.")
    ] = 3,
    model: Annotated[str, typer.Option(help="Interactive model of ours.")] = MODEL,
    threads: Annotated[int, typer.Option(min=1, help="Threads for each server.")] = os.cpu_count() or 1,
    cache: Annotated[Path, typer.Option(help="Folder of the stock environment (7 GB) and what is prepared.")] = ROOT
    / ".cache"
    / "benchmarks",
    json_path: Annotated[Path, typer.Option("--json", help="Where the numbers are written.")] = RESULT,
) -> None:
    """Measure clicks on our server and on stock MONAI Label; the last line sums up."""
    console = Console(stderr=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers are stopped too
    try:
        result = run(model, clicks, studies, stock_clicks, threads, cache.resolve(), console)
    except TumorSegError as error:
        console.print(f"error: {error}", style="red", markup=False)
        raise typer.Exit(2) from None
    _show(result, console)
    if max(result["load_average"]) > BUSY + threads:
        console.print("the machine was busy: take the numbers again when it is not")
    json_path.parent.mkdir(parents=True, exist_ok=True)
    json_path.write_text(json.dumps(result, indent=1) + "\n")
    console.print(f"written to {json_path}")
    print(json.dumps(last_line(result)))


def last_line(result: dict[str, Any]) -> dict[str, Any]:
    """Sum up in the line that is read by programs."""
    ours_, stock = result["ours"], result["stock"]
    ratio = stock["further"]["median_ms"] / ours_["further"]["median_ms"] if "further" in stock else None
    return {
        "first_ms": ours_["first"]["median_ms"],
        "median_ms": ours_["further"]["median_ms"],
        "p95_ms": ours_["further"]["p95_ms"],
        "stock_ratio": ratio if ratio is None else round(ratio, 1),
    }


def serving(model: str, studies: Path, image: str, scratch: Path) -> Launch:
    """Our server with one interactive model; it must also offer a model that needs no clicks."""
    from tumorseg.registry import DEFAULT_MODEL

    return ours("click", studies, image, scratch, DEFAULT_MODEL, interactive=model, prewarm="no")


def run(
    model: str, clicks: int, studies: int, stock_clicks: int, threads: int, cache: Path, console: Console
) -> dict[str, Any]:
    """Take all measurements."""
    load_before = machine.busy()
    with tempfile.TemporaryDirectory(prefix="tumorseg-click-") as folder, Progress(console=console) as progress:
        scratch = Path(folder)
        made = [write_study(scratch / "studies" / f"{n:04d}", n) for n in range(studies + 1)]  # the first to warm up
        task = progress.add_task("clicks on ours", total=studies * (clicks + 1) + 1)
        ours_, points = _ours(model, made, clicks, threads, scratch, lambda: progress.advance(task))
        stock: dict[str, Any] = {"absent": "left out by --stock-clicks 0"}
        if stock_clicks:
            task = progress.add_task("clicks on stock", total=stock_clicks + 2)
            stock = _stock(
                made[:2], points[: stock_clicks + 1], threads, cache, scratch, lambda: progress.advance(task)
            )
    return {
        "model": model,
        "ours": ours_,
        "stock": stock,
        "settings": {"clicks": clicks, "studies": studies, "stock_clicks": stock_clicks, "threads": threads},
        "load_average": [load_before, machine.busy()],
        "machine": machine.machine(),
        "versions": {"ours": machine.versions(sys.executable), **stock.pop("versions", {})},
        "taken": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


#: Positive and negative points after each click.
Clicked = list[tuple[Points, Points]]


def _ours(
    model: str, made: Sequence[ClickStudy], clicks: int, threads: int, scratch: Path, step: Callable[[], None]
) -> tuple[dict[str, Any], Clicked]:
    """Click on every study but the first, which warms the server up."""
    launch = serving(model, scratch / "studies", made[0].image, scratch)
    with running(launch, scratch, threads) as server:
        Annotator(server.address, model, made[0].image, made[0].truth).click()
        step()
        first, further, dice = [], [], []
        points: Clicked = []
        for study in made[1:]:
            person = Annotator(server.address, model, study.image, study.truth)
            for number in range(clicks + 1):
                answer = person.click()
                step()
                if answer is None:
                    break
                (first if number == 0 else further).append(answer.seconds)
                if study is made[1]:
                    points.append((list(person.positive), list(person.negative)))
            dice.append(round(person.dice, 4))
    return {"first": latency(first), "further": latency(further), "dice_at_end": dice}, points


def _stock(
    made: Sequence[ClickStudy], points: Clicked, threads: int, cache: Path, scratch: Path, step: Callable[[], None]
) -> dict[str, Any]:
    """Send the same points to stock: first to another study, to warm up, and then to the measured one."""
    warm, measured = "warm", "measured"
    prepared = prepare_deepedit(
        cache, {name: _flair(study) for name, study in zip((warm, measured), made, strict=True)}
    )
    launch = stock_deepedit("stock-deepedit", prepared, measured)
    with ExitStack() as stack:
        server = stack.enter_context(running(launch, scratch, threads))
        _ask_stock(server, warm, made[0], points[0])
        step()
        seconds = []
        for clicked in points:
            seconds.append(_ask_stock(server, measured, made[1], clicked))
            step()
    versions = {"stock": machine.versions(prepared.python)}
    return {"first": latency(seconds[:1]), "further": latency(seconds[1:]), "weights": "random", "versions": versions}


def _ask_stock(
    server: Running, image: str, study: ClickStudy, points: tuple[list[list[int]], list[list[int]]]
) -> float:
    person = Annotator(server.address, server.launch.model, image, study.truth, deepedit(LABEL, BACKGROUND))
    person.positive, person.negative = points
    return person.ask().seconds


def _flair(study: ClickStudy) -> StudyImage:
    from tumorseg.io import read_study
    from tumorseg.types import FLAIR

    return read_study(study.folder, channels=(FLAIR,))


def _show(result: dict[str, Any], console: Console) -> None:
    """Print what was measured."""
    table = Table(title=f"a click over HTTP, {result['model']}", title_justify="left", title_style="bold")
    for name in ("", "clicks", "median", "p95", "largest"):
        table.add_column(name, justify="right" if name else "left")
    for who in ("ours", "stock"):
        for kind in ("first", "further"):
            if told := result[who].get(kind):
                numbers = (f"{told[key]:.0f} ms" for key in ("median_ms", "p95_ms", "max_ms"))
                table.add_row(f"{who}, {kind}", str(told["count"]), *numbers)
    console.print(table)
    console.print(f"Dice at the end: {result['ours']['dice_at_end']}; {last_line(result)}", markup=False)


if __name__ == "__main__":
    app()
