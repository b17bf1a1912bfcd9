"""The page of a classifier of slices."""

from __future__ import annotations

from html import escape

import numpy as np

from tumorseg.evaluation.gate.measure import GateReport, GateRow, roc
from tumorseg.evaluation.numbers import percent
from tumorseg.evaluation.pages.html import beside_table, headline, interval_words, page, seen_alert, table
from tumorseg.evaluation.pages.plots import Curve, Point, plot


def slices_page(report: GateReport, subset: str, seen: int | None) -> bytes:
    """Return the page."""
    on = f"{len(report.rows)} patients, {report.truth.size} slices"
    subtitle = (
        f"{escape(subset)}: {on}, {int(report.truth.sum())} of them with tumour; weights "
        f"<code>{escape(report.version)}</code>; slices from a score of {report.threshold:.3g} on pass"
    )
    body = [
        seen_alert(seen, "patients"),
        headline(_headline(report)),
        "<h2>Ours beside the published</h2>",
        beside_table(report.model, report.figures, on),
        "<h2>How the threshold trades misses for false alarms</h2>",
        f'<section class="plots">{_roc(report)}</section>',
        "<h2>Every patient, slice by slice</h2>",
        '<p class="soft">From the first slice to the last: the line is the score, the shaded slices are those with '
        "tumour. Most errors first.</p>",
        _patients(report),
    ]
    return page(f"{report.model}: does a slice show tumour?", subtitle, "\n".join(body))


def _headline(report: GateReport) -> list[tuple[str, str, str]]:
    figures, truth, passed = report.figures, report.truth, report.scores >= report.threshold
    alarms = int((~truth & passed).sum())
    return [
        (
            f"{int((truth & passed).sum())} of {int(truth.sum())}",
            f"slices with tumour pass ({percent(figures['sensitivity'].value)})",
            interval_words(figures["sensitivity"], percent=True),
        ),
        (
            f"{alarms} of {int((~truth).sum())}",
            f"slices without tumour pass ({percent(1 - figures['specificity'].value)})",
            f"specificity: {interval_words(figures['specificity'], percent=True)}",
        ),
        (f"{figures['auc'].value:.3f}", "area under the curve (AUC)", interval_words(figures["auc"])),
    ]


def _roc(report: GateReport) -> str:
    wrong, right = roc(report)
    figures = report.figures
    point = Point(1 - figures["specificity"].value, figures["sensitivity"].value, f"score {report.threshold:.3g}")
    curve = Curve(wrong, right, f"AUC {figures['auc'].value:.3f}")
    svg = plot(
        [curve], ("slices without tumour that pass", "slices with tumour that pass"), points=[point], diagonal=True
    )
    return (
        f"<figure>{svg}<figcaption>ROC curve over all slices; the dot is the operating threshold.</figcaption></figure>"
    )


def _patients(report: GateReport) -> str:
    def errors(row: GateRow) -> int:
        return int(row.truth.sum()) - row.right(report.threshold) + row.false_alarms(report.threshold)

    rows = [
        [
            escape(row.patient),
            str(row.scores.size),
            f"{row.right(report.threshold)} / {int(row.truth.sum())}",
            str(row.false_alarms(report.threshold)),
            _strip(row, report.threshold),
        ]
        for row in sorted(report.rows, key=errors, reverse=True)
    ]
    return table(["patient", "slices", "found / with tumour", "false alarms", "scores"], rows, numbers=(1, 2, 3))


def _strip(row: GateRow, threshold: float, width: int = 360, height: int = 46) -> str:
    """Draw the scores of one patient: a band where the tumour is, the threshold, the line."""
    step = width / row.scores.size
    bands = "".join(
        f'<rect x="{k * step:.1f}" y="0" width="{step:.1f}" height="{height}" fill="var(--band)"/>'
        for k in np.flatnonzero(row.truth)
    )
    points = " ".join(
        f"{(k + 0.5) * step:.1f},{height - score * (height - 4) - 2:.1f}" for k, score in enumerate(row.scores)
    )
    level = height - threshold * (height - 4) - 2
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-label="scores">{bands}'
        f'<line x1="0" x2="{width}" y1="{level:.1f}" y2="{level:.1f}" stroke="var(--other)" stroke-dasharray="4 3"/>'
        f'<polyline points="{points}" fill="none" stroke="var(--accent)" stroke-width="1.6"/></svg>'
    )
