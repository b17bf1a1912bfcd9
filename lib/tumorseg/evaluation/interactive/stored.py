"""Measured clicks in a folder, small enough to commit; the table of the documentation is made of them.

``MODEL-SUBSET-START.json`` is the line that ``tumorseg evaluate --interactive --json`` prints, and says what was
measured; ``….clicks.csv`` has a line for each click, of which every figure is computed again; ``….csv`` has a line for
each patient, for people. They lie in a folder of their own: the other results are read by another key.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tumorseg.errors import InputError
from tumorseg.evaluation.interactive.figures import summarise
from tumorseg.evaluation.interactive.lines import clicks_csv, patients_csv, read_clicks
from tumorseg.evaluation.interactive.results import ClickReport
from tumorseg.evaluation.interactive.tables import noc_words, time_words
from tumorseg.evaluation.numbers import shown
from tumorseg.evaluation.store import write_store

INTERACTIVE, CLICKS = "interactive", "clicks"
_SHOWN = (0, 1, 2, 3, 5, 10)

Row = tuple[str, ...]
#: Head of :func:`rows`.
HEAD: Row = (
    "",
    "begins with",
    "patients",
    *(f"Dice after {n}" for n in _SHOWN),
    "clicks to 0.85",
    "clicks to 0.90",
    "a click, median (p95)",
)


@dataclass(frozen=True)
class StoredClicks:
    """One evaluation, read back; ``subset`` of the frozen split, or ``all``."""

    report: ClickReport
    subset: str


def write_clicks(folder: Path, told: Mapping[str, Any], report: ClickReport) -> list[Path]:
    """Write one evaluation and return its files; ``told`` is what ``--json`` prints."""
    return write_store(folder, told, INTERACTIVE, {"": patients_csv(report), CLICKS: clicks_csv(report)})


def read_stored(folder: Path) -> list[StoredClicks]:
    """Read every evaluation of a folder, in the order of their names; none where there is no folder.

    Raises:
        InputError: a file is of another kind.
    """
    return [_read(path) for path in sorted(folder.glob("*.json"))]


def _read(path: Path) -> StoredClicks:
    meta = json.loads(path.read_text(encoding="utf-8"))
    if meta.get("kind") != INTERACTIVE:
        raise InputError(f"{path}: expected the kind {INTERACTIVE}, got {meta.get('kind')!r}")
    report = ClickReport(
        meta["model"],
        meta["version"],
        meta["start"],
        meta["noc_limit"],
        meta["noisy"],
        read_clicks(path.with_suffix(f".{CLICKS}.csv")),
        meta["patients_without_tumour"],
        meta["patients_without_truth"],
    )
    return StoredClicks(report, meta.get("subset") or "all")


def rows(stored: Sequence[StoredClicks]) -> list[Row]:
    """Return a line for each evaluation, every figure from its clicks."""
    return [_row(one) for one in stored]


def _row(one: StoredClicks) -> Row:
    report, summary = one.report, summarise(one.report)
    patients = len(report.rows)
    dice = (shown(summary.dice_after[n]) if n in summary.dice_after else "–" for n in _SHOWN)
    noc = (noc_words(reached, patients) for reached in summary.noc.values())
    return (f"`{report.model}`, {one.subset}", report.start, str(patients), *dice, *noc, time_words(summary))
