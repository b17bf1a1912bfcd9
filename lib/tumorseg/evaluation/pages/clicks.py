"""The page of a method that answers clicks, on labelled patients."""

from __future__ import annotations

from html import escape

import numpy as np

from tumorseg.evaluation.interactive.figures import TARGETS, ClickSummary, curve
from tumorseg.evaluation.interactive.results import ClickReport, PatientClicks
from tumorseg.evaluation.interactive.tables import heading, patient_cells, summary_rows
from tumorseg.evaluation.pages.html import headline, interval_words, page, seen_alert, table
from tumorseg.evaluation.pages.plots import Curve, plot

_LABELS = ("clicks", "Dice")
_HOW = (
    "A simulated person clicks into the middle of the largest error of the volume, where the slice shows most of it, "
    "and stops when nothing is wrong. Clicks to a Dice: 0 for a start that is good enough; who never gets there counts "
    "as the limit."
)


def clicks_page(report: ClickReport, summary: ClickSummary, subset: str, seen: int | None) -> bytes:
    """Return the page."""
    head, cells = patient_cells(report)
    head = [name if not name.isdigit() else f"Dice after {name}" for name in head]
    figures = [[escape(name), f"<b>{escape(value)}</b>"] for name, value in summary_rows(report, summary)]
    body = [
        seen_alert(seen, "patients"),
        headline(_headline(report, summary)),
        f"<h2>Dice by number of clicks</h2><p class='soft'>{escape(_HOW)}</p>",
        f'<div class="plots"><figure>{_mean_plot(report)}</figure><figure>{_patients_plot(report.rows)}</figure></div>',
        "<h2>All figures</h2>",
        table(["", "mean [95 % interval]"], figures, numbers=(1,)),
        "<h2>Every patient, the worst first</h2>",
        table(head, [[escape(cell) for cell in row] for row in cells], numbers=range(1, len(head))),
    ]
    subtitle = f"{escape(subset)}: {escape(heading(report))}"
    return page(f"{report.model} under a simulated person's clicks", subtitle, "\n".join(body))


def _headline(report: ClickReport, summary: ClickSummary) -> list[tuple[str, str, str]]:
    best = max(n for n in summary.dice_after if n <= 3)
    after = [
        (f"{summary.dice_after[n].value:.3f}", f"mean Dice after {n} clicks", interval_words(summary.dice_after[n]))
        for n in (0, best)
    ]
    noc = summary.noc[TARGETS[-1]]
    never = f"{noc.failures} of {len(report.rows)} patients never get there"
    return [
        *after,
        (f"{noc.clicks.value:.1f}", f"clicks to a Dice of {TARGETS[-1]:.2f}", never),
    ]


def _mean_plot(report: ClickReport) -> str:
    """Draw the mean and the ends of its interval."""
    figures = curve(report)
    clicks = np.arange(len(figures))
    ends = {"mean": "value", "lower end": "low", "upper end": "high"}
    curves = [Curve(clicks, np.array([getattr(one, end) for one in figures]), name) for name, end in ends.items()]
    return plot(curves, _LABELS, x_range=(0, report.limit))


def _patients_plot(rows: tuple[PatientClicks, ...]) -> str:
    """Draw each patient's Dice, without names."""
    curves = [Curve(np.arange(len(row.steps)), np.array([step.dice for step in row.steps]), "") for row in rows]
    return plot(curves, (_LABELS[0], "Dice of each patient"), x_range=(0, max(1, *(len(row.made) for row in rows))))
