"""The page of a detector on annotated pictures."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from tumorseg.evaluation.detection.figures import IOU, DetectionReport, annotated, ranking
from tumorseg.evaluation.numbers import percent, shown
from tumorseg.evaluation.pages.html import beside_table, headline, interval_words, page, picture, seen_alert
from tumorseg.evaluation.pages.plots import Curve, Point, plot
from tumorseg.evaluation.pages.tiles import Tile
from tumorseg.metrics.detection.average_precision import precision_recall_curve
from tumorseg.metrics.detection.counts import counts
from tumorseg.metrics.detection.froc import RATES, froc
from tumorseg.metrics.detection.matching import Ranking

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_RATE = 1 / 16  # left edge of the FROC curve's axis


def pictures_page(report: DetectionReport, tiles: Sequence[Tile], subset: str, seen: int | None) -> bytes:
    """Return the page; ``tiles`` are the pictures in the order of the data."""
    known = "" if report.patients is None else f" of {report.patients} patients"
    subtitle = (
        f"{escape(subset)}: {len(report.pictures)} pictures{known}, {_objects(report)} annotated objects; "
        f"weights <code>{escape(report.version)}</code>; detections from a score of {report.score:g} on"
    )
    body = [
        seen_alert(seen, "pictures"),
        headline(_headline(report)),
        "<h2>Ours beside the published</h2>",
        beside_table(report.model, report.distinct_figures, f"{len(report.pictures)} pictures"),
        "<h2>How the threshold trades misses for false alarms</h2>",
        f'<section class="plots">{_precision_recall(report)}{_froc(report)}</section>',
        "<h2>What was taken for what</h2>",
        _confusion(report),
        "<h2>Every picture: annotated left, found right</h2>",
        _gallery(tiles),
    ]
    return page(f"{report.model} on annotated pictures", subtitle, "\n".join(body))


def _headline(report: DetectionReport) -> list[tuple[str, str, str]]:
    found, figures = report.lesion_counts, report.figures
    objects = found.true_positives + found.false_negatives
    wrong = found.false_positives
    items = [
        (
            f"{found.true_positives} of {objects}",
            f"annotated lesions found ({percent(found.recall)})",
            interval_words(figures["recall_lesion"], percent=True),
        ),
        (
            f"{wrong}",
            f"false alarm{'s' * (wrong != 1)} on {len(report.pictures)} pictures",
            f"{percent(found.precision)} of the detections are right; "
            f"{interval_words(figures['precision_lesion'], percent=True)}",
        ),
        (
            _short(figures["ap50_lesion"].value),
            "average precision" + ", whatever the class" * (len(report.labels) > 1),
            interval_words(figures["ap50_lesion"]),
        ),
        (_short(figures["dice_mean"].value), "overlap of the outlines (Dice)", interval_words(figures["dice_mean"])),
    ]
    if report.without_lesion:
        silent = report.without_lesion - report.false_alarm_pictures
        items.append(
            (
                f"{silent} of {report.without_lesion}",
                "pictures without lesion left unmarked",
                interval_words(figures["specificity"], percent=True),
            )
        )
    return items


def _precision_recall(report: DetectionReport) -> str:
    classes = annotated(report.pictures)
    rankings = {name: ranking(report.pictures, name) for name in classes}
    if len(classes) > 1:
        rankings = {"any lesion": ranking(report.pictures, None), **rankings}
    curves = []
    for name, one in rankings.items():
        found = precision_recall_curve(one)
        start = found.precision[:1] if found.precision.size else np.ones(1)
        area = "" if name not in report.ap50 else f", AP {shown(report.ap50[name])[:5]}"
        curves.append(Curve(np.append(0.0, found.recall), np.append(start, found.precision), f"{name}{area}"))
    first = next(iter(rankings.values()), None)
    svg = plot(curves, ("recall", "precision"), points=_operating(first, report.score, rate=False))
    return _figure(svg, f"Precision and recall, boxes at an IoU of {IOU:g}. The dot is the operating threshold.")


def _froc(report: DetectionReport) -> str:
    one = ranking(report.pictures, None)
    curve = froc(one)
    wrong, sensitivity = _drawable(curve.false_positives, curve.sensitivity)
    points = _operating(one, report.score, rate=True)
    svg = plot(
        [Curve(wrong, sensitivity, "any lesion", steps=True)],
        ("false alarms a picture", "sensitivity"),
        points=points,
        x_range=(LEAST_RATE, RATES[-1]),
        x_ticks=RATES,
    )
    at = ", ".join(f"{percent(value)} at {rate:g}" for rate, value in zip(curve.rates, curve.at_rates, strict=True))
    return _figure(svg, f"FROC: lesions found at so many false alarms a picture: {at}.")


def _operating(one: Ranking | None, score: float, *, rate: bool) -> list[Point]:
    if one is None:
        return []
    at = counts(one, score)
    if not at.true_positives + at.false_positives:
        return []
    if rate:
        return [Point(max(at.false_positives / max(one.images, 1), LEAST_RATE), at.recall, f"score {score:g}")]
    return [Point(at.recall, at.precision, f"score {score:g}")]


def _drawable(
    wrong: NDArray[np.float64], found: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Let the curve begin at the left edge of the logarithmic axis and run to its right one."""
    if not wrong.size:
        return wrong, found
    return np.append(np.maximum(wrong, LEAST_RATE), RATES[-1]), np.append(found, found[-1])


def _confusion(report: DetectionReport) -> str:
    names = report.confusion.labels
    head = "".join(f"<th>{escape(_class(name, 'missed'))}</th>" for name in names)
    rows = []
    for r, name in enumerate(names):
        cells = "".join(
            f'<td class="hit">{count}</td>' if r == c else f"<td>{count}</td>"
            for c, count in enumerate(report.confusion.counts[r])
            if (r, c) != (len(names) - 1, len(names) - 1)
        )
        rows.append(f"<tr><th>{escape(_class(name, 'nothing annotated'))}</th>{cells}</tr>")
    words = (
        "Rows: annotated as; columns: found as. A box of at least the operating score counts for the object it "
        f"overlaps by an IoU of {IOU:g}, whatever the class."
    )
    matrix = f'<table class="matrix"><tr><th></th>{head}</tr>{"".join(rows)}</table>'
    return f'<div class="scroll">{matrix}</div><p class="soft">{words}</p>'


def _class(name: str, background: str) -> str:
    return background if name == "background" else name


def _gallery(tiles: Sequence[Tile]) -> str:
    order = sorted(range(len(tiles)), key=lambda n: (-(tiles[n].missed + tiles[n].wrong), tiles[n].overlap))
    place = {n: rank for rank, n in enumerate(order)}
    wrong = sum(not tile.right for tile in tiles)
    choices = (
        ("worst", "worst first", True),
        ("best", "best first", False),
        ("given", "in the order of the files", False),
        ("wrong", f"only the {wrong} with a miss or a false alarm", False),
    )
    # The radio buttons stand beside the gallery, so that the style sheet can follow them without a script.
    radios = "".join(
        f'<input class="pick" type="radio" name="order" id="{name}"{" checked" * chosen}>'
        f'<label class="choose" for="{name}">{escape(words)}</label>'
        for name, words, chosen in choices
    )
    figures = "".join(_tile(tile, place[n], len(tiles)) for n, tile in enumerate(tiles))
    return f'{radios}<div class="gallery">{figures}</div>'


def _tile(tile: Tile, place: int, total: int) -> str:
    verdict = "right" if tile.right else ", ".join(_faults(tile))
    lines = "".join(f"<li>{escape(line)}</li>" for line in tile.lines)
    truth = picture(tile.truth, "jpeg", f"{tile.name}, as annotated")
    found = picture(tile.found, "jpeg", f"{tile.name}, as found: {'; '.join(tile.lines)}")
    return (
        f'<figure class="{"right" if tile.right else "wrong"}" style="--worst:{place};--best:{total - place}">'
        f'<div class="pair"><div>{truth}</div><div>{found}</div></div>'
        f"<figcaption><span>{escape(tile.name)}</span>"
        f'<span class="verdict">{verdict}, overlap {tile.overlap:.2f}</span></figcaption><ul>{lines}</ul></figure>'
    )


def _faults(tile: Tile) -> list[str]:
    faults = [f"{tile.missed} missed"] if tile.missed else []
    return faults + ([f"{tile.wrong} false alarm{'s' * (tile.wrong > 1)}"] if tile.wrong else [])


def _figure(svg: str, words: str) -> str:
    return f"<figure>{svg}<figcaption>{escape(words)}</figcaption></figure>"


def _objects(report: DetectionReport) -> int:
    return sum(len(picture.truth_labels) for picture in report.pictures)


def _short(value: float) -> str:
    return f"{value:.2f}" if np.isfinite(value) else "–"
