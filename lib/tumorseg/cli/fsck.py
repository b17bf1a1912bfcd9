"""``tumorseg fsck``: whether every label that was saved is there."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from tumorseg.cli.console import print_json, print_table, progress
from tumorseg.cli.options import Json

if TYPE_CHECKING:
    from rich.table import Table

    from tumorseg.labels.fsck import Report

EXIT_FOUND = 1

Place = Annotated[
    str, typer.Argument(metavar="LABELS_OR_STUDIES", show_default=False, help="The labels, or the studies they are of.")
]


def fsck(
    place: Place,
    repair: Annotated[bool, typer.Option("--repair", help="Put right what can be put right.")] = False,
    as_json: Json = False,
) -> None:
    """Check that every label that was ever saved is there, whole, and known.

    Looks at the index, at the file of every version, at the copies in the plain layout and at what a crash left. A
    server may go on running. Exits with 1 where something is wrong (with [bold]--repair[/bold]: and still is).

    [bold]Examples[/bold]

        tumorseg fsck my_studies

        tumorseg fsck my_studies/labels --repair
    """
    from tumorseg.adapters.labels import labels_folder
    from tumorseg.labels.fsck import examine

    with progress("checking labels:") as step:
        report = examine(labels_folder(place), repair=repair, progress=lambda done, total: step(done, total, ""))
    print_report(report, as_json)


def print_report(report: Report, as_json: bool) -> None:
    """Show what was found; exit with 1 where something is still wrong."""
    found = report.problems
    if as_json:
        problems = [{"kind": p.kind, "what": p.what, "message": p.message, "done": p.done} for p in found]
        kinds = dict(Counter(problem.kind for problem in found))
        left = len(report.unsolved)
        print_json({"versions": report.versions, "unsolved": left, "kinds": kinds, "problems": problems})
    else:
        if found:
            print_table(_table(report))
        solved = len(found) - len(report.unsolved)
        typer.echo(f"{report.versions} versions: {len(found) or 'no'} problems" + (f", {solved} solved" * bool(solved)))
    if report.unsolved:
        raise typer.Exit(EXIT_FOUND)


def _table(report: Report) -> Table:
    from rich.markup import escape
    from rich.table import Table

    from tumorseg.labels.examination import KINDS

    table = Table(title=f"what was found in {escape(str(report.root))}", title_justify="left")
    table.add_column("kind", no_wrap=True)
    for name in ("what", "message", "done"):
        table.add_column(name, overflow="fold")
    order = list(KINDS)
    for problem in sorted(report.problems, key=lambda one: (bool(one.done), order.index(one.kind), one.what)):
        words = (problem.kind.replace("_", " "), problem.what, problem.message, problem.done)
        table.add_row(*(escape(word) for word in words), style=None if problem.done else "red")
    return table
