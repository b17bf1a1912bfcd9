"""Many annotators clicking at once, each on a study of their own: is every answer its own, and what does it cost?

Run ``make bench-click-crowd``. First every person clicks alone on a fresh server, one study after the other. Then all
send the same points at once to another fresh server, each waiting for an answer before the next click, without a pause
to think. The lesions of the studies lie at different places (:mod:`benchmarks.click_study`): an answer is another
study's where it is at least as like what another person got alone after as many clicks as what its own did.
``identical`` counts the answers that are, byte for byte, what the study's person got alone.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

from benchmarks import machine
from benchmarks.annotator import Annotator, Answered, Points, latency
from benchmarks.click import MODEL, serving
from benchmarks.click_study import SHIFTS, ClickStudy, write_study
from benchmarks.processes import MemoryWatch, resident_mb
from benchmarks.report import BUSY
from benchmarks.servers import ROOT, Running, running
from tumorseg.errors import TumorSegError

RESULT = ROOT / "benchmarks" / "results" / "click_crowd.json"

app = typer.Typer(add_completion=False)


@dataclass(frozen=True, eq=False)
class Sent:
    """One click: all points that were sent, and what came back."""

    positive: Points
    negative: Points
    answer: Answered


@app.command()
def main(
    annotators: Annotated[int, typer.Option(min=2, max=len(SHIFTS), help="People at once, a study each.")] = 10,
    clicks: Annotated[int, typer.Option(min=2, help="Clicks of each.")] = 10,
    model: Annotated[str, typer.Option(help="Interactive model.")] = MODEL,
    threads: Annotated[int, typer.Option(min=1, help="Threads for the server.")] = os.cpu_count() or 1,
    json_path: Annotated[Path, typer.Option("--json", help="Where the numbers are written.")] = RESULT,
) -> None:
    """Let many people click at once; the last line sums up, and the exit code is 1 where an answer was not its own."""
    console = Console(stderr=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server is stopped too
    try:
        result = run(model, annotators, clicks, threads, console)
    except TumorSegError as error:
        console.print(f"error: {error}", style="red", markup=False)
        raise typer.Exit(2) from None
    if max(result["load_average"]) > BUSY + threads:
        console.print("the machine was busy: take the numbers again when it is not")
    json_path.parent.mkdir(parents=True, exist_ok=True)
    json_path.write_text(json.dumps(result, indent=1) + "\n")
    console.print(f"written to {json_path}")
    print(json.dumps(last_line(result)))
    if result["wrong"]:
        raise typer.Exit(1)


def last_line(result: dict[str, Any]) -> dict[str, Any]:
    """Sum up in the line that is read by programs."""
    together, memory = result["together"]["further"], result["memory_mb"]
    return {
        "annotators": result["settings"]["annotators"],
        "clicks": result["clicks"],
        "wrong": result["wrong"],
        "identical": result["identical"],
        "p50_ms": together["median_ms"],
        "p95_ms": together["p95_ms"],
        "memory_before_mb": memory["before"],
        "memory_after_mb": memory["after"],
        "memory_peak_mb": memory["peak"],
    }


def run(model: str, annotators: int, clicks: int, threads: int, console: Console) -> dict[str, Any]:
    """Let everybody click alone, then all at once, and compare."""
    load_before = machine.busy()
    with tempfile.TemporaryDirectory(prefix="tumorseg-crowd-") as folder, Progress(console=console) as progress:
        scratch = Path(folder)
        warm = write_study(scratch / "studies" / "warm", annotators)
        studies = [write_study(scratch / "studies" / f"{n:04d}", n, SHIFTS[n]) for n in range(annotators)]
        task = progress.add_task("alone", total=annotators * clicks)
        launch = serving(model, scratch / "studies", warm.image, scratch / "alone")
        with running(launch, scratch / "alone", threads) as server:
            _warm_up(server, model, warm)
            alone = [_alone(server, model, study, clicks, lambda: progress.advance(task)) for study in studies]
        task = progress.add_task("together", total=sum(map(len, alone)))
        launch = serving(model, scratch / "studies", warm.image, scratch / "together")
        with running(launch, scratch / "together", threads) as server, MemoryWatch(server.pid) as watch:
            _warm_up(server, model, warm)
            before = resident_mb(server.pid)
            crowd = _together(server, model, studies, alone, lambda: progress.advance(task))
            after = resident_mb(server.pid)
    memory = {"before": round(before, 1), "after": round(after, 1), "peak": round(watch.peak, 1)}
    return {
        "model": model,
        **compared(alone, crowd),
        "alone": latencies([[sent.answer for sent in one] for one in alone]),
        "together": latencies(crowd),
        "memory_mb": memory,
        "settings": {"annotators": annotators, "clicks": clicks, "threads": threads},
        "load_average": [load_before, machine.busy()],
        "machine": machine.machine(),
        "versions": machine.versions(sys.executable),
        "taken": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def compared(alone: Sequence[Sequence[Sent]], crowd: Sequence[Sequence[Answered]]) -> dict[str, int]:
    """Count the answers that are another study's, and those that are exactly what the person got alone."""
    wrong = identical = 0
    for whose, answers in enumerate(crowd):
        for number, answer in enumerate(answers):
            there = {at: _likeness(answer, one[number].answer) for at, one in enumerate(alone) if len(one) > number}
            own = there.pop(whose)
            wrong += any(other >= own for other in there.values())
            identical += answer.sha256 == alone[whose][number].answer.sha256
    return {"clicks": sum(map(len, crowd)), "wrong": wrong, "identical": identical}


def latencies(people: Sequence[Sequence[Answered]]) -> dict[str, dict[str, float]]:
    """Return how long first and further clicks took."""
    first = [one[0].seconds for one in people]
    return {"first": latency(first), "further": latency([answer.seconds for one in people for answer in one[1:]])}


def _likeness(one: Answered, other: Answered) -> float:
    from tumorseg.metrics.overlap import dice
    from tumorseg.metrics.pair import Pair

    return dice(Pair(one.mask, other.mask))


def _warm_up(server: Running, model: str, study: ClickStudy) -> None:
    Annotator(server.address, model, study.image, study.truth).click()


def _alone(server: Running, model: str, study: ClickStudy, clicks: int, step: Callable[[], None]) -> list[Sent]:
    """Click on one study while nobody else does."""
    person = Annotator(server.address, model, study.image, study.truth)
    seen = []
    for _ in range(clicks):
        answer = person.click()
        step()
        if answer is None:
            break
        seen.append(Sent(list(person.positive), list(person.negative), answer))
    return seen


def _together(
    server: Running,
    model: str,
    studies: Sequence[ClickStudy],
    alone: Sequence[Sequence[Sent]],
    step: Callable[[], None],
) -> list[list[Answered]]:
    """Send everybody's points at once."""
    barrier = Barrier(len(studies))

    def person(study: ClickStudy, points: Sequence[Sent]) -> list[Answered]:
        at = Annotator(server.address, model, study.image, study.truth)
        barrier.wait()
        answers = []
        for sent in points:
            at.positive, at.negative = sent.positive, sent.negative
            answers.append(at.ask())
            step()
        return answers

    with ThreadPoolExecutor(len(studies)) as people:
        return list(people.map(person, studies, alone))


if __name__ == "__main__":
    app()
