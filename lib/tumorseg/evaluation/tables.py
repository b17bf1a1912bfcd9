"""A report as CSV (a line for each patient), as JSON (one line) and as a table for people."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tumorseg.errors import InputError
from tumorseg.evaluation.numbers import bounds, cell, number, shown
from tumorseg.evaluation.published import published
from tumorseg.evaluation.report import PatientRow, Report

if TYPE_CHECKING:
    from rich.table import Table

COUNTS = ("slices", "empty_slices", "false_positive_slices", "truth_voxels", "found_voxels")
SLICEWISE = ("tumour_slice_dice", "tumour_slice_iou")


def report_csv(report: Report) -> bytes:
    """Return one line for each patient, with a header."""
    metrics = list(report.rows[0].metrics)
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["patient", *metrics, *COUNTS, "seconds", *SLICEWISE])
    for row in report.rows:
        values = [cell(row.metrics[name]) for name in metrics]
        counts = [getattr(row, name) for name in COUNTS]
        slicewise = [cell(getattr(row, name)) for name in SLICEWISE]
        lines.writerow([row.patient, *values, *counts, f"{row.seconds:.3f}", *slicewise])
    return text.getvalue().encode("utf-8")


def read_rows(path: Path) -> list[PatientRow]:
    """Read what :func:`report_csv` wrote."""
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        columns = list(reader.fieldnames or ())
        missing = [name for name in ("patient", *COUNTS, "seconds", *SLICEWISE) if name not in columns]
        if missing:
            raise InputError(f"{path}: expected the columns of a per-patient CSV; {', '.join(missing)} not there")
        metrics = columns[1 : columns.index(COUNTS[0])]
        return [
            PatientRow(
                patient=line["patient"],
                metrics={name: float(line[name] or "nan") for name in metrics},
                **{name: int(line[name]) for name in COUNTS},
                seconds=float(line["seconds"]),
                **{name: float(line[name] or "nan") for name in SLICEWISE},  # type: ignore[arg-type]
            )
            for line in reader
        ]


def report_json(report: Report, **extra: Any) -> dict[str, Any]:
    """Return what a machine wants to know; numbers that are not defined are None. ``extra`` is appended."""
    summary = report.summary
    return {
        "model": report.model,
        "patients": summary.patients,
        "dice_mean": number(summary.dice_mean.value),
        "dice_median": number(summary.dice_median.value),
        "dice_ci": bounds(summary.dice_mean),
        "empty_slices": summary.empty_slices,
        "false_positive_slices": summary.false_positive_slices,
        "dice_median_ci": bounds(summary.dice_median),
        "false_positive_rate": number(summary.false_positive_rate),
        **{f"{name}_mean": number(value) for name, value in summary.means.items() if name != "dice"},
        **{name: number(figure.value) for name, figure in summary.slicewise.items()},
        **{f"{name}_ci": bounds(figure) for name, figure in summary.slicewise.items()},
        "patients_without_tumour": summary.without_tumour,
        "patients_without_truth": summary.without_truth,
        "version": report.version,
        "seconds_per_patient": number(sum(row.seconds for row in report.rows) / len(report.rows)),
        **extra,
    }


COLUMNS = ("", "patients", "mean Dice [95 %]", "median Dice [95 %]", "false-positive / empty slices")


def summary_table(report: Report, title: str, paper: str | None = None) -> Table:
    """Return ours and, below it, the published figures of ``paper`` (a file in ``paper/``) for the same task."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold")
    for name in COLUMNS:
        table.add_column(escape(name), justify="right" if name else "left")
    ours, *others = _lines(report, paper)
    table.add_row(f"[bold]{escape(ours[0])}[/bold]", *(escape(cell) for cell in ours[1:]), end_section=True)
    for other in others:
        table.add_row(*(escape(cell) for cell in other), style="dim")
    return table


def summary_markdown(report: Report, paper: str | None = None) -> bytes:
    """Return the same table as Markdown, for a README or a model card."""
    rows = [COLUMNS, tuple("---:" if name else "---" for name in COLUMNS), *_lines(report, paper)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows).encode("utf-8")


def _lines(report: Report, paper: str | None) -> list[tuple[str, ...]]:
    summary = report.summary
    slices = f"{summary.false_positive_slices} / {summary.empty_slices}"
    figures = (str(summary.patients), shown(summary.dice_mean), shown(summary.dice_median), slices)
    ours = (f"{report.model} {report.version}", *figures)
    others = published(paper) if paper else []
    return [ours, *((o.name, str(o.patients or "-"), f"{o.dice_mean:.3f}", "-", "-") for o in others)]


def patient_table(report: Report) -> Table:
    """Return a line for each patient, the worst first."""
    from rich.table import Table

    table = Table()
    table.add_column("patient")
    for name in ("Dice", "sensitivity", "precision", "slices", "empty", "false-positive"):
        table.add_column(name, justify="right")
    for row in sorted(report.rows, key=lambda row: (row.has_tumour, row.metrics["dice"])):
        shown = [f"{row.metrics[name]:.3f}" if row.has_tumour else "-" for name in ("dice", "sensitivity", "precision")]
        counts = (row.slices, row.empty_slices, row.false_positive_slices)
        table.add_row(row.patient, *(text.replace("nan", "-") for text in shown), *(str(n) for n in counts))
    return table
