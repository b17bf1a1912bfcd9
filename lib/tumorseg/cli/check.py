"""``tumorseg check``: what is wrong with a set of annotated pictures."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tumorseg.cli.console import print_json, print_table, progress
from tumorseg.cli.import_ import split_labels
from tumorseg.cli.options import Json

if TYPE_CHECKING:
    from rich.table import Table

    from tumorseg.annotations import Problem

EXIT_FOUND = 1


def check(
    folders: Annotated[
        list[Path],
        typer.Argument(
            metavar="DIR", show_default=False, help="Annotated pictures; several are compared as parts of a split."
        ),
    ],
    format: Annotated[
        str | None, typer.Option(metavar="NAME", help="via, voc, coco, mask_folders, kaggle_3m; else what fits.")
    ] = None,
    labels: Annotated[
        str | None, typer.Option(metavar="A,B", help="The classes there may be.", show_default=False)
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 when anything was found.")] = False,
    as_json: Json = False,
) -> None:
    """Say what is wrong with annotated pictures, in the files and between them.

    Damaged or missing files, outlines that leave the picture, cross themselves or enclose nothing, empty masks, masks
    of another size, unknown classes; pictures that are there twice, exactly or nearly (saved again, scaled, mirrored),
    within a part of a split and across parts; a patient in two parts. Folders called train, val and test are parts.

    [bold]Examples[/bold]

        tumorseg check brain_tumor/data_cleaned --strict

        tumorseg check my_train my_test --json
    """
    from tumorseg.annotations.report import check_sets

    with progress("checking:") as step:
        report = check_sets(folders, format, split_labels(labels), lambda done, total: step(done, total, ""))
    found = report.problems
    if as_json:
        problems = [{"file": str(p.file), "kind": p.kind, "message": p.message, "left_out": p.hard} for p in found]
        kinds = dict(Counter(problem.kind for problem in found))
        print_json({"pictures": report.pictures, "parts": report.parts, "kinds": kinds, "problems": problems})
    else:
        if found:
            print_table(_table(found))
        parts = ", ".join(f"{count} in {name}" for name, count in report.parts.items())
        typer.echo(f"{report.pictures} pictures ({parts}): {len(found) or 'no'} problems")
    if strict and found:
        raise typer.Exit(EXIT_FOUND)


def _table(problems: tuple[Problem, ...]) -> Table:
    from rich.markup import escape
    from rich.table import Table

    from tumorseg.annotations.problems import KINDS

    table = Table(title="what was found", title_justify="left")
    table.add_column("kind", no_wrap=True)
    table.add_column("file", overflow="fold")
    table.add_column("what", overflow="fold")
    order = list(KINDS)
    for problem in sorted(problems, key=lambda one: (not one.hard, order.index(one.kind), str(one.file))):
        style = "red" if problem.hard else None
        table.add_row(problem.kind.replace("_", " "), escape(str(problem.file)), escape(problem.message), style=style)
    return table
