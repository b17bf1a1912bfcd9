"""``tumorseg simulate``: which way of choosing what to label next is best on this data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tumorseg.cli.console import note, print_json, progress
from tumorseg.cli.options import Json

if TYPE_CHECKING:
    from tumorseg.active_learning.simulation.settings import Settings
    from tumorseg.active_learning.simulation.summary import Summary

_LOOP = "The loop"


def simulate(
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            show_default=False,
            help="Labelled patients in the kaggle_3m layout; without it, made-up ones that only test the loop.",
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A small network on small pictures: minutes on two cores, not hours.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="Folder of the results; else runs/simulate-….")
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Also write figures and plot here, where `make tables` finds them."),
    ] = None,
    strategy: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only this strategy and the baseline (repeat); else all that can be."),
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="How often all is repeated; else 5, quick 3.")] = None,
    model: Annotated[
        str | None, typer.Option(metavar="NAME", help="A model that sees one slice at a time; else resunet.")
    ] = None,
    unit: Annotated[
        str | None, typer.Option(metavar="NAME", help="What is chosen: slice or case.", rich_help_panel=_LOOP)
    ] = None,
    start: Annotated[int | None, typer.Option(help="Units labelled to start with.", rich_help_panel=_LOOP)] = None,
    batch: Annotated[int | None, typer.Option(help="Units labelled in the first round.", rich_help_panel=_LOOP)] = None,
    growth: Annotated[
        float | None, typer.Option(help="How many times as many each further round labels.", rich_help_panel=_LOOP)
    ] = None,
    rounds: Annotated[int | None, typer.Option(help="Trainings in a row.", rich_help_panel=_LOOP)] = None,
    steps: Annotated[int | None, typer.Option(help="Batches in a training.", rich_help_panel=_LOOP)] = None,
    warm: Annotated[
        bool | None,
        typer.Option(
            "--warm/--scratch", help="Go on from the round before, or from random values.", rich_help_panel=_LOOP
        ),
    ] = None,
    shrink: Annotated[int | None, typer.Option(help="Pixels a side made one.", rich_help_panel=_LOOP)] = None,
    patients: Annotated[int | None, typer.Option(help="Most patients to choose from.", rich_help_panel=_LOOP)] = None,
    noise: Annotated[
        float | None, typer.Option(help="Of the annotator's border: 0 draws the truth.", rich_help_panel=_LOOP)
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; else one for each CPU, on a GPU 1.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:1.", metavar="NAME")] = "cpu",
    as_json: Json = False,
) -> None:
    """Replay labelling and training with a simulated annotator, to find the best way of choosing what comes next.

    Every strategy begins with the same labels and is measured on the same held-out patients. The area under the curve
    of Dice over labels is compared with random choice that looks for tumour (foreground_random), paired by seed. What
    is done is kept: stopped with Ctrl-C, the same command goes on.

    [bold]Examples[/bold]

        tumorseg simulate --quick

        tumorseg simulate --quick --data kaggle_3m --strategy entropy --strategy clasp_pe

        tumorseg simulate --data kaggle_3m --model resunet --device cuda --out runs/simulate
    """
    from tumorseg.active_learning.simulation.data import from_folder, synthetic
    from tumorseg.active_learning.simulation.study import checked, simulated
    from tumorseg.active_learning.simulation.study import simulate as run
    from tumorseg.active_learning.simulation.summary import summarise
    from tumorseg.active_learning.simulation.tables import markdown

    settings = _settings(
        quick or data is None,
        model=model,
        unit=unit,
        start=start,
        batch=batch,
        growth=growth,
        rounds=rounds,
        steps=steps,
        warm=warm,
        shrink=shrink,
        patients=patients,
        noise=noise,
    )
    names = checked(strategy or ())
    chosen = range(seeds or (3 if quick or data is None else 5))
    if store:
        store.mkdir(parents=True, exist_ok=True)  # now rather than after hours
    folder = out or Path("runs") / f"simulate-{data.name if data else 'synthetic'}-{settings.model}"
    if data is None:
        note("no --data: made-up patients, which test the loop and say nothing about real ones")
        cases = synthetic()
    else:
        with progress("reading patients") as step:
            cases = from_folder(data, settings, lambda done, total: step(done, total, ""))
    with progress("simulating") as step:
        records = run(
            names,
            chosen,
            settings,
            cases,
            folder,
            workers=workers or _workers(device),
            device=device,
            progress=lambda done, total: step(done, total, f"{done}/{total} trainings"),
        )
    # Those that an earlier command compared here count too: who asks about one of many must not be told "p < 0.05".
    others = [name for name in simulated() if name not in names]
    names = (*names, *records.complete(others, chosen, settings.rounds))
    summary = summarise(records, names, chosen, settings, cases.name)
    told = summary.as_json()
    page = markdown(told)
    written = _write(folder, summary, told, page)
    if store:
        written += _write(store, summary, told)
    note(f"written: {', '.join(map(str, written))}")
    if as_json:
        print_json(told)
    else:
        typer.echo(page)


def _settings(quick: bool, **given: Any) -> Settings:
    from dataclasses import replace

    from tumorseg.active_learning.simulation.settings import CASES, QUICK, REAL

    wanted = {name: value for name, value in given.items() if value is not None}
    fewer: dict[str, Any] = CASES if wanted.get("unit") == "case" else {}
    return replace(QUICK if quick else REAL, **{**fewer, **wanted})


def _workers(device: str) -> int:
    import os

    return max(1, os.cpu_count() or 1) if device == "cpu" else 1


def _write(folder: Path, summary: Summary, told: dict[str, Any], page: str | None = None) -> list[Path]:
    """Write the figures and the plot, and the page where there is one; return the files."""
    import json

    from tumorseg.active_learning.simulation.plot import plot
    from tumorseg.io.files import write_atomically

    parts = {"json": (json.dumps(told, indent=1) + "\n").encode(), "png": plot(summary)}
    if page is not None:
        parts["md"] = page.encode()
    for ending, content in parts.items():
        write_atomically(folder / f"simulation.{ending}", content)
    return [folder / f"simulation.{ending}" for ending in parts]
