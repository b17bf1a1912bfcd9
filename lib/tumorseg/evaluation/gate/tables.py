"""A classifier's report as JSON and as CSV, a line for each patient with the scores of all its slices."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np

from tumorseg.errors import InputError
from tumorseg.evaluation.gate.measure import GateReport, GateRow
from tumorseg.evaluation.numbers import bounds, number

COLUMNS = (
    "patient",
    "slices",
    "tumour_slices",
    "found_slices",
    "false_positive_slices",
    "seconds",
    "truth",
    "scores",
)


def report_json(report: GateReport, **extra: Any) -> dict[str, Any]:
    """Return what a machine wants to know; numbers that are not defined are None. ``extra`` is appended."""
    return {
        "model": report.model,
        "version": report.version,
        "patients": len(report.rows),
        **{name: number(figure.value) for name, figure in report.figures.items()},
        **{f"{name}_ci": bounds(figure) for name, figure in report.figures.items()},
        "slices": int(report.truth.size),
        "tumour_slices": int(report.truth.sum()),
        "empty_slices": int((~report.truth).sum()),
        "missed_slices": int((report.truth & (report.scores < report.threshold)).sum()),
        "false_positive_slices": sum(row.false_alarms(report.threshold) for row in report.rows),
        "score_threshold": report.threshold,
        "patients_without_truth": report.without_truth,
        "seconds_per_patient": number(float(np.mean([row.seconds for row in report.rows]))),
        **extra,
    }


def report_csv(report: GateReport) -> bytes:
    """Return a line for each patient; ``truth`` and ``scores`` hold one number for each slice, in their order."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(COLUMNS)
    for row in report.rows:
        counts = (row.scores.size, int(row.truth.sum()), row.right(report.threshold))
        written = ("".join(str(int(v)) for v in row.truth), " ".join(f"{score:.6f}" for score in row.scores))
        alarms = row.false_alarms(report.threshold)
        lines.writerow([row.patient, *counts, alarms, f"{row.seconds:.3f}", *written])
    return text.getvalue().encode("utf-8")


def read_rows(path: Path) -> list[GateRow]:
    """Read what :func:`report_csv` wrote."""
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if set(COLUMNS) - set(reader.fieldnames or ()):
            raise InputError(f"{path}: expected the columns {', '.join(COLUMNS)}, got {reader.fieldnames}")
        return [_row(line) for line in reader]


def _row(line: dict[str, str]) -> GateRow:
    truth = np.array([digit == "1" for digit in line["truth"]], bool)
    return GateRow(line["patient"], np.array(line["scores"].split(), np.float64), truth, float(line["seconds"]))
