"""Ours beside what was published, as lines for a table: in a terminal, in Markdown, on a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

from tumorseg.evaluation.numbers import shown
from tumorseg.evaluation.report import Interval
from tumorseg.evaluation.systems import PaperFigure, System, paper_figures, systems_of
from tumorseg.evaluation.words import title

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class Line:
    """One figure of ours and what was published of the same name.

    Attributes:
        figure: key.
        ours: value with interval.
        others: published figures that compare with it.
    """

    figure: str
    ours: Interval
    others: tuple[PaperFigure, ...]


def lines(model: str, figures: Mapping[str, Interval]) -> list[Line]:
    """Return a line for each figure that is defined; published ones of the model's systems beside it (test only)."""
    published = [(system, one) for system in systems_of(model) for one in paper_figures(system.letter)]
    return [
        Line(name, value, tuple(one for _, one in published if one.figure == name and one.part == "test"))
        for name, value in figures.items()
        if isfinite(value.value)
    ]


def notes(model: str) -> list[tuple[System, str]]:
    """Return what to know of the published systems that a model answers."""
    return [(system, system.note) for system in systems_of(model) if system.note]


def published_words(others: tuple[PaperFigure, ...]) -> str:
    """Return the published values of one figure in a cell."""
    return "; ".join(f"{one.shown} ({one.whose})" for one in others if one.value is not None) or "-"


def figures_table(model: str, figures: Mapping[str, Interval], on: str, heading: str) -> Table:
    """Return the table for a terminal."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=heading, title_justify="left", title_style="bold")
    table.add_column("")
    table.add_column(escape(f"{model} [95 %], {on}"), justify="right")
    table.add_column("published")
    for line in lines(model, figures):
        table.add_row(title(line.figure), escape(shown(line.ours)), escape(published_words(line.others)))
    return table


def figures_markdown(model: str, figures: Mapping[str, Interval], on: str) -> bytes:
    """Return the same as Markdown."""
    head = ["", f"{model} [95 %], {on}", "published"]
    rows = [
        head,
        ["---", "---:", "---"],
        *([title(line.figure), shown(line.ours), published_words(line.others)] for line in lines(model, figures)),
    ]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows).encode("utf-8")
