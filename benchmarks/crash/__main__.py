"""``python -m benchmarks.crash``: save, kill, look what is left; the last line sums up."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from benchmarks import machine
from benchmarks.crash.check import check
from benchmarks.crash.crew import Crew
from benchmarks.crash.fleet import Fleet
from benchmarks.servers import ROOT
from tumorseg.errors import TumorSegError

# Few, so that processes meet at the same image and tag.
IMAGES = 6

app = typer.Typer(add_completion=False)


@dataclass(frozen=True)
class Part:
    """What one part of the run came to.

    Attributes:
        acknowledged: labels whose save was acknowledged.
        kills: processes killed.
        interrupted: saves that were under way when their process was killed, and so were not acknowledged.
        lost: acknowledged labels that are not there, in words.
        half_written: files that are not what they say they are, in words.
    """

    acknowledged: int
    kills: int
    interrupted: int
    lost: list[str]
    half_written: list[str]


@app.command()
def main(
    saves: Annotated[int, typer.Option(min=1, help="Labels, half of them saved over HTTP.")] = 400,
    processes: Annotated[int, typer.Option(min=1, help="Writers, and clients of the servers, at once.")] = 4,
    seed: Annotated[int, typer.Option(help="Seed of what is killed when.")] = 1,
    http: Annotated[bool, typer.Option(help="Also through live servers.")] = True,
    broken: Annotated[
        bool, typer.Option(help="Writers that acknowledge before they save: the check must find it.")
    ] = False,
    json_path: Annotated[Path, typer.Option("--json", help="Where the numbers are written.")] = ROOT
    / "benchmarks"
    / "results"
    / "crash.json",
) -> None:
    """Save labels from several processes that are killed at random moments, and count what was lost."""
    console = Console(stderr=True)
    parts: dict[str, Part] = {}
    with tempfile.TemporaryDirectory(prefix="tumorseg-crash-") as folder, Progress(console=console) as progress:
        scratch = Path(folder)
        try:
            here = saves // 2 if http else saves
            parts["writers"] = _writers(scratch / "written", here, processes, seed, broken, progress)
            if http:
                parts["servers"] = _servers(scratch, saves - here, processes, seed, progress)
        except TumorSegError as error:
            console.print(f"error: {error}", style="red", markup=False)
            raise typer.Exit(2) from None
    for name, part in parts.items():
        console.print(
            f"{name}: {part.acknowledged} acknowledged, {part.kills} processes killed, {part.interrupted} saves cut off"
        )
        for problem in (*part.lost, *part.half_written):
            console.print(f"  {problem}", style="red", markup=False)
    line = {
        "acknowledged": sum(part.acknowledged for part in parts.values()),
        "lost": sum(len(part.lost) for part in parts.values()),
        "half_written": sum(len(part.half_written) for part in parts.values()),
    }
    settings = {"saves": saves, "processes": processes, "seed": seed, "images": IMAGES, "broken": broken}
    taken = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    result = {
        **line,
        **{name: asdict(part) for name, part in parts.items()},
        "settings": settings,
        "machine": machine.machine(),
        "taken": taken,
    }
    json_path.parent.mkdir(parents=True, exist_ok=True)
    json_path.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(line))
    if line["lost"] or line["half_written"] or line["acknowledged"] < saves:
        raise typer.Exit(1)


def _writers(root: Path, saves: int, processes: int, seed: int, broken: bool, progress: Progress) -> Part:
    """Part one: through the history."""
    crew = Crew(root, IMAGES, broken)
    task = progress.add_task(f"{processes} writers", total=saves)
    crew.save_all(range(saves), processes, seed, lambda: progress.advance(task))
    found = check(root, crew.acknowledged, IMAGES)
    return Part(len(crew.acknowledged), crew.kills, crew.interrupted, found.lost, found.half_written)


def _servers(scratch: Path, saves: int, clients: int, seed: int, progress: Progress) -> Part:
    """Part two: through servers."""
    fleet = Fleet(scratch, scratch / "labels", IMAGES)
    task = progress.add_task(f"{clients} clients of servers", total=saves)
    fleet.save_all(range(saves), clients, seed, lambda: progress.advance(task))
    found = check(fleet.labels, fleet.acknowledged, IMAGES)
    return Part(len(fleet.acknowledged), fleet.kills, fleet.interrupted, found.lost, found.half_written)


if __name__ == "__main__":
    app()
