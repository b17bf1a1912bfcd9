"""The five published systems: which of our models answers which, and what was published of each.

``paper/systems.csv`` lists them, ``paper/system_<letter>.csv`` holds one published figure a line with its source; a
figure that no source states has no value. Names of figures are the keys of ``tumorseg evaluate --json``.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

PAPERS = Path(__file__).parent / "paper"


@dataclass(frozen=True)
class System:
    """One published system.

    Attributes:
        letter: ``A`` to ``E``.
        title: as published.
        models: registry names of our answers to it.
        headline: figures for the short table.
        figures: figures for the long one.
        note: what a reader of the figures should know.
    """

    letter: str
    title: str
    models: tuple[str, ...]
    headline: tuple[str, ...]
    figures: tuple[str, ...]
    note: str


@dataclass(frozen=True)
class PaperFigure:
    """One published figure.

    Attributes:
        name: whose.
        part: ``test`` or ``training``.
        figure: key of ours that it compares with.
        value: as printed; None where it is not stated.
        on: how many images or patients, in words.
        remark: what makes it less comparable.
        source: where it is printed.
    """

    name: str
    part: str
    figure: str
    value: float | None
    on: str
    remark: str
    source: str

    @property
    def whose(self) -> str:
        """Whose it is, and of what, in words."""
        return f"{self.name}, {self.on}" if self.on else self.name

    @property
    def shown(self) -> str:
        """The value with its digits, or that there is none."""
        return "not stated" if self.value is None else f"{self.value:.3f}"


def systems() -> list[System]:
    """Read the five systems."""
    return [
        System(
            letter=row["letter"],
            title=row["title"],
            models=tuple(row["models"].split()),
            headline=tuple(row["headline"].split()),
            figures=tuple(row["figures"].split()),
            note=row["note"],
        )
        for row in _rows("systems")
    ]


def paper_figures(letter: str) -> list[PaperFigure]:
    """Read what was published of one system, in the order of its file."""
    return [
        PaperFigure(
            name=row["name"],
            part=row["part"],
            figure=row["figure"],
            value=float(row["value"]) if row["value"] else None,
            on=row["on"],
            remark=row["remark"],
            source=row["source"],
        )
        for row in _rows(f"system_{letter.lower()}")
    ]


def systems_of(model: str) -> list[System]:
    """Return the systems that a model answers."""
    return [system for system in systems() if model in system.models]


def _rows(table: str) -> Iterator[Mapping[str, str]]:
    with (PAPERS / f"{table}.csv").open(newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file)
