"""The page of a model that marks voxels, on labelled patients."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import isfinite

from PIL import Image

from tumorseg.evaluation.pages.html import beside_table, headline, interval_words, page, picture, seen_alert, table
from tumorseg.evaluation.pages.tiles import encoded
from tumorseg.evaluation.report import Interval, PatientRow, Report
from tumorseg.evaluation.words import title

WIDTH = 1100  # pixels of a patient's sheet on the page


@dataclass(frozen=True)
class Sheet:
    """One patient drawn: JPEG of the slices, found tinted and truth outlined."""

    patient: str
    jpeg: bytes


def page_sheet(patient: str, png: bytes) -> Sheet:
    """Return a sheet small enough for a page."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    image.thumbnail((WIDTH, 100 * WIDTH), Image.Resampling.LANCZOS)
    return Sheet(patient, encoded(image, "JPEG"))


def volumes_page(
    report: Report, sheets: Sequence[Sheet], subset: str, seen: int | None, *, published: bool = True
) -> bytes:
    """Return the page; ``published`` is False on data of another task than that of the published figures."""
    summary = report.summary
    slices = sum(row.slices for row in report.rows)
    subtitle = f"{escape(subset)}: {summary.patients} patients, {slices} slices; weights <code>{report.version}</code>"
    on = f"{summary.patients} patients"
    body = [
        seen_alert(seen, "patients"),
        headline(_headline(report)),
        "<h2>Ours beside the published</h2>",
        beside_table(report.model, figures_of(report), on, published=published),
        "<h2>Every patient, the worst first</h2>",
        '<p class="soft">Below the table the slices of each patient: found is tinted, the truth is outlined.</p>',
        _patients(report.rows, {sheet.patient: sheet for sheet in sheets}),
    ]
    return page(f"{report.model} on labelled patients", subtitle, "\n".join(body))


def figures_of(report: Report) -> dict[str, Interval]:
    """Return the figures that have an interval, and the means that have none."""
    summary = report.summary
    with_interval = {"dice_mean": summary.dice_mean, "dice_median": summary.dice_median, **summary.slicewise}
    means = {
        f"{name}_mean": Interval(value, float("nan"), float("nan"))
        for name, value in summary.means.items()
        if name != "dice"
    }
    return {**with_interval, **means}


def _headline(report: Report) -> list[tuple[str, str, str]]:
    summary = report.summary
    found = summary.slicewise["slice_dice_empty"]
    return [
        (_short(summary.dice_mean), "mean Dice of a patient's tumour", interval_words(summary.dice_mean)),
        (_short(summary.dice_median), "median Dice", interval_words(summary.dice_median)),
        (
            f"{summary.false_positive_slices} of {summary.empty_slices}",
            "slices without tumour are marked in vain",
            f"left unmarked: {interval_words(found, percent=True)}",
        ),
    ]


def _patients(rows: Sequence[PatientRow], sheets: Mapping[str, Sheet]) -> str:
    names = [name for name in rows[0].metrics if any(isfinite(row.metrics[name]) for row in rows)]
    head = ["patient", *(title(name) for name in names), "false / empty slices"]
    ordered = sorted(rows, key=lambda row: (row.has_tumour, row.metrics["dice"]))
    cells = [
        [
            _opened(row, sheets.get(row.patient)),
            *(f"{value:.3f}" if isfinite(value := row.metrics[name]) else "–" for name in names),
            f"{row.false_positive_slices} / {row.empty_slices}",
        ]
        for row in ordered
    ]
    lists = table(head, cells, numbers=range(1, len(head)))
    drawn = (_details(row, sheets[row.patient]) for row in ordered if row.patient in sheets)
    return lists + "".join(drawn)


def _opened(row: PatientRow, sheet: Sheet | None) -> str:
    name = escape(row.patient)
    return name if sheet is None else f'<a href="#{name}">{name}</a>'


def _details(row: PatientRow, sheet: Sheet) -> str:
    words = f"{row.patient}, Dice {row.metrics['dice']:.3f}" if row.has_tumour else f"{row.patient}, no tumour"
    shown = picture(sheet.jpeg, "jpeg", f"{words}: slices with what was found and the truth")
    name = escape(row.patient)
    return f'<details id="{name}" open><summary>{escape(words)}</summary><div class="wide">{shown}</div></details>'


def _short(interval: Interval) -> str:
    return f"{interval.value:.3f}" if isfinite(interval.value) else "–"
