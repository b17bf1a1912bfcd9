"""The clicks of an evaluation as JSON (one line) and as tables for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tumorseg.evaluation.interactive.figures import AFTER, TARGETS, ClickSummary, Reached
from tumorseg.evaluation.interactive.lines import noc_name
from tumorseg.evaluation.interactive.results import ClickReport
from tumorseg.evaluation.numbers import bounds, number, shown

if TYPE_CHECKING:
    from rich.table import Table


def report_json(report: ClickReport, summary: ClickSummary, **extra: Any) -> dict[str, Any]:
    """Return what a machine wants to know; numbers that are not defined are None. ``extra`` is appended."""
    noc = {noc_name(target): one for target, one in summary.noc.items()}
    return {
        "patients": len(report.rows),
        "dice_after": {str(n): number(one.value) for n, one in summary.dice_after.items()},
        **{name: number(one.clicks.value) for name, one in noc.items()},
        "model": report.model,
        "dice_after_ci": {str(n): bounds(one) for n, one in summary.dice_after.items()},
        **{f"{name}_ci": bounds(one.clicks) for name, one in noc.items()},
        **{f"{name}_failures": one.failures for name, one in noc.items()},
        "noc_limit": report.limit,
        "gain": {str(n): number(one.value) for n, (one, _) in summary.gains.items()},
        "gain_ci": {str(n): bounds(one) for n, (one, _) in summary.gains.items()},
        "gain_patients": {str(n): count for n, (_, count) in summary.gains.items()},
        "clicks": summary.clicks,
        "lowered": number(summary.lowered.value),
        "lowered_ci": bounds(summary.lowered),
        "lesions_elsewhere": summary.elsewhere,
        "lesions_harmed_elsewhere": summary.harmed,
        "click_s_median": number(summary.median_s),
        "click_s_p95": number(summary.p95_s),
        "encode_s_median": number(summary.encode_s),
        "start": report.start,
        "noisy": report.noisy,
        "patients_without_tumour": report.without_tumour,
        "patients_without_truth": report.without_truth,
        "version": report.version,
        **extra,
    }


#: Head of :func:`summary_rows`.
SUMMARY_HEAD = ("", "mean [95 %]")


def summary_rows(report: ClickReport, summary: ClickSummary) -> list[tuple[str, str]]:
    """Return what is told of one evaluation, a line for each figure."""
    patients = len(report.rows)
    rows = [(f"Dice after {_clicks(n)}", shown(one)) for n, one in summary.dice_after.items()]
    for target, one in summary.noc.items():
        rows.append((f"clicks to a Dice of {target:.2f}, at most {report.limit}", noc_words(one, patients)))
    for n, (gain, count) in summary.gains.items():
        if n in AFTER:
            rows.append((f"Dice gained by click {n}, {count} patients", shown(gain)))
    rows.append((f"share of the {summary.clicks} clicks that lower the Dice", shown(summary.lowered)))
    rows.append(("lesions elsewhere that a click harmed", f"{summary.harmed} of {summary.elsewhere}"))
    rows.append(("a click, median (95th percentile)", time_words(summary)))
    rows.append(("until the first click can be answered, median", f"{summary.encode_s:.2f} s"))
    return rows


def noc_words(one: Reached, patients: int) -> str:
    """Return the clicks to a Dice, and who never got there."""
    low, high = one.clicks.low, one.clicks.high
    failed = f", {one.failures} of {patients} never" if one.failures else ""
    return f"{one.clicks.value:.1f} [{low:.1f}, {high:.1f}]{failed}"


def time_words(summary: ClickSummary) -> str:
    """Return how long a click took."""
    if not summary.clicks:
        return "-"
    return f"{1000 * summary.median_s:.0f} ms ({1000 * summary.p95_s:.0f} ms)"


def summary_table(report: ClickReport, summary: ClickSummary, title: str) -> Table:
    """Return the table for a terminal."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column(escape(heading(report)))
    table.add_column(escape(SUMMARY_HEAD[1]), justify="right")
    for row in summary_rows(report, summary):
        table.add_row(*map(escape, row))
    return table


def heading(report: ClickReport) -> str:
    """Return what was measured on how many."""
    return f"{report.model} {report.version}, {len(report.rows)} patients, from {report.start}"


def summary_markdown(report: ClickReport, summary: ClickSummary) -> bytes:
    """Return the same as Markdown."""
    rows = [(heading(report), SUMMARY_HEAD[1]), ("---", "---:"), *summary_rows(report, summary)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows).encode("utf-8")


def patient_cells(report: ClickReport) -> tuple[list[str], list[list[str]]]:
    """Return head and lines of a table by patient, the worst after all clicks first."""
    after = [n for n in AFTER if n <= report.limit]
    head = ["patient", *(str(n) for n in after), *(f"NoC@{target:.2f}" for target in TARGETS)]
    ordered = sorted(report.rows, key=lambda row: (row.dice_after(report.limit), row.patient))
    return head, [
        [
            row.patient,
            *(f"{row.dice_after(n):.3f}" for n in after),
            *("never" if (n := row.clicks_to(target)) is None else str(n) for target in TARGETS),
        ]
        for row in ordered
    ]


def patient_table(report: ClickReport) -> Table:
    """Return a line for each patient: the Dice by number of clicks, and the clicks to a Dice."""
    from rich.table import Table

    head, rows = patient_cells(report)
    table = Table(title="Dice by number of clicks", title_justify="left", title_style="bold")
    for name in head:
        table.add_column(name, justify="left" if name == "patient" else "right")
    for row in rows:
        table.add_row(*row)
    return table


def _clicks(n: int) -> str:
    return "1 click" if n == 1 else f"{n} clicks"
