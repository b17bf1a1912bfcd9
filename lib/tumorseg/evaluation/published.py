"""What others measured on the same kind of data; the files in ``paper/`` say where each figure is from."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

PAPERS = Path(__file__).parent / "paper"


@dataclass(frozen=True)
class Published:
    """One published mean Dice; ``patients`` is None where the source does not say."""

    name: str
    dice_mean: float
    patients: int | None
    reference: str


def published(table: str = "lgg") -> list[Published]:
    """Read ``paper/<table>.csv``."""
    with (PAPERS / f"{table}.csv").open(newline="", encoding="utf-8") as file:
        return [
            Published(row["name"], float(row["dice_mean"]), int(row["patients"] or 0) or None, row["reference"])
            for row in csv.DictReader(file)
        ]
