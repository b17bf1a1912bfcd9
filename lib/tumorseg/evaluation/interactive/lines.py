"""The clicks of an evaluation as CSV: a line for each patient, and one for each click, which can be read again."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tumorseg.errors import InputError
from tumorseg.evaluation.interactive.figures import AFTER, TARGETS
from tumorseg.evaluation.interactive.results import ClickReport, PatientClicks, Step
from tumorseg.interactive.prompts import Click

#: Columns of the lines for each click; a start has no place and no time.
COLUMNS = (
    "patient",
    "slices",
    "truth_voxels",
    "encode_s",
    "clicks",
    "i",
    "j",
    "k",
    "positive",
    "dice",
    "seconds",
    "changed",
    "elsewhere",
    "harmed",
)
# A voxel of a tumour of a million of them still changes the Dice.
_DICE_DIGITS = 9


def patients_csv(report: ClickReport) -> bytes:
    """Return one line for each patient: the Dice after so many clicks, and how many clicks it took."""
    shown_after = [n for n in AFTER if n <= report.limit]
    head = ["patient", "slices", "truth_voxels", "clicks", *(noc_name(target) for target in TARGETS)]
    rows = [
        [
            row.patient,
            row.slices,
            row.truth_voxels,
            len(row.made),
            *("" if (n := row.clicks_to(target)) is None else n for target in TARGETS),
            *(f"{row.dice_after(n):.4f}" for n in shown_after),
            f"{row.encode_s:.3f}",
        ]
        for row in report.rows
    ]
    return _written([[*head, *(f"dice_{n}" for n in shown_after), "encode_s"], *rows])


def clicks_csv(report: ClickReport) -> bytes:
    """Return one line for each patient's start and for each click; :func:`read_clicks` reads it."""
    return _written([COLUMNS, *(_line(row, n) for row in report.rows for n in range(len(row.steps)))])


def _line(row: PatientClicks, n: int) -> tuple[Any, ...]:
    step = row.steps[n]
    at = ("", "", "", "") if step.click is None else (*step.click.at, int(step.click.positive))
    told = (f"{step.dice:.{_DICE_DIGITS}f}", f"{step.seconds:.4f}", step.changed, step.elsewhere, step.harmed)
    return (row.patient, row.slices, row.truth_voxels, f"{row.encode_s:.3f}", n, *at, *told)


def read_clicks(path: Path) -> tuple[PatientClicks, ...]:
    """Read what :func:`clicks_csv` wrote.

    Raises:
        InputError: a column is missing.
    """
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise InputError(f"{path}: expected a line for each click; the columns {', '.join(missing)} are not there")
        lines: dict[str, list[dict[str, str]]] = {}
        for line in reader:
            lines.setdefault(line["patient"], []).append(line)
    return tuple(
        PatientClicks(
            name, int(of[0]["slices"]), int(of[0]["truth_voxels"]), float(of[0]["encode_s"]), tuple(map(_step, of))
        )
        for name, of in lines.items()
    )


def _step(line: dict[str, str]) -> Step:
    click = None
    if line["i"]:
        click = Click((int(line["i"]), int(line["j"]), int(line["k"])), line["positive"] == "1")
    counts = (int(line[name]) for name in ("changed", "elsewhere", "harmed"))
    return Step(click, float(line["dice"]), float(line["seconds"]), *counts)


def noc_name(target: float) -> str:
    """Return what the clicks to a Dice are called: ``noc85``."""
    return f"noc{100 * target:.0f}"


def _written(rows: Iterable[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode("utf-8")
