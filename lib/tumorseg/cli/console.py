"""Talking to the person: progress and notes on stderr, results on stdout."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

#: Called with how much is done, of how much, and a word on what is being done.
Step = Callable[[float, float, str], None]


@contextmanager
def progress(what: str) -> Iterator[Step]:
    """Show a bar on stderr while the block runs; nothing where stderr is not a terminal."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)

        def step(done: float, total: float, now: str = "") -> None:
            bar.update(task, completed=done, total=total, description=f"{what} {now}".rstrip())

        yield step


def note(text: str) -> None:
    """Say something on stderr that belongs to the result but is not the result."""
    typer.echo(text, err=True)


def print_json(values: Mapping[str, Any]) -> None:
    """Print one line of JSON on stdout."""
    typer.echo(json.dumps(values, allow_nan=False))


def print_table(*tables: Table) -> None:
    """Print tables on stdout; where that is a file or a pipe they are as wide as they need to be."""
    from rich.console import Console

    console = Console()
    wide = console if console.is_terminal else Console(width=max(console.width, 140))
    for table in tables:
        wide.print(table)
