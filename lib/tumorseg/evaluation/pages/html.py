"""The skeleton of a page and the pieces that every page has. Everything is inline: a page is one file, for ever."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from math import isfinite
from pathlib import Path
from string import Template

from tumorseg.evaluation.beside import lines, notes
from tumorseg.evaluation.numbers import shown
from tumorseg.evaluation.report import Interval
from tumorseg.evaluation.words import MEANINGS, title

PAGE = Path(__file__).with_name("page.html")
FOOTER = (
    "Made by <code>tumorseg evaluate</code>. Research use only; not a medical device. Intervals are bootstrap 95 % "
    "percentile intervals; patients are drawn again with all their pictures, or pictures where no patient is known. "
    "Published figures are from other pictures and other splits: they say what to expect, not who wins."
)


def page(heading: str, subtitle: str, body: str) -> bytes:
    """Return a whole page; ``subtitle`` and ``body`` are HTML, ``heading`` is text."""
    skeleton = Template(PAGE.read_text(encoding="utf-8"))
    return skeleton.substitute(title=escape(heading), subtitle=subtitle, body=body, footer=FOOTER).encode("utf-8")


def headline(items: Sequence[tuple[str, str, str]]) -> str:
    """Return large figures: the figure, what it is in words, and its small print."""
    cells = (f"<div><b>{escape(a)}</b><span>{escape(b)}</span><small>{escape(c)}</small></div>" for a, b, c in items)
    return f'<section class="headline">{"".join(cells)}</section>'


def table(head: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    """Return a table of HTML cells; the columns in ``numbers`` stand to the right."""

    def row(cells: Sequence[str], tag: str) -> str:
        marks = (' class="n"' if index in numbers else "" for index in range(len(cells)))
        return f"<tr>{''.join(f'<{tag}{m}>{cell}</{tag}>' for m, cell in zip(marks, cells, strict=True))}</tr>"

    body = "".join(row(cells, "td") for cells in rows)
    return f'<div class="scroll"><table><thead>{row(head, "th")}</thead><tbody>{body}</tbody></table></div>'


def beside_table(model: str, figures: Mapping[str, Interval], on: str, *, published: bool = True) -> str:
    """Return ours beside what was published, figure by figure, and what to know of the published ones.

    ``published`` is False on data of another task than that of the published figures.
    """
    rows = []
    for line in lines(model if published else "", figures):
        meaning = MEANINGS.get(line.figure)
        name = escape(title(line.figure)) + (f"<small>{escape(meaning)}</small>" if meaning else "")
        others = "".join(
            f"<div><b>{escape(one.shown)}</b> {escape(one.whose)}"
            f"{f'<small>{escape(one.remark)}</small>' if one.remark else ''}</div>"
            for one in line.others
        )
        rows.append([name, f"<b>{escape(shown(line.ours))}</b><small>{escape(on)}</small>", others or "–"])
    known = "".join(
        f"<p><small>{system.letter}, {_plain(system.title)}: {_plain(note)}.</small></p>"
        for system, note in (notes(model) if published else [])
    )
    return table(["", f"{escape(model)} [95 % interval]", "published"], rows, numbers=(1,)) + known


def picture(data: bytes, kind: str, words: str) -> str:
    """Return an image that is part of the page."""
    return f'<img src="data:image/{kind};base64,{base64.b64encode(data).decode()}" alt="{escape(words)}">'


def seen_alert(seen: int | None, what: str) -> str:
    """Return a warning where some of what was measured trained the model."""
    if not seen:
        return ""
    return (
        f'<p class="alert"><b>{seen} of these {escape(what)} trained the model.</b> '
        "The figures are better than they will be on new ones.</p>"
    )


def interval_words(interval: Interval, *, percent: bool = False) -> str:
    """Return the interval for a sentence."""
    if not isfinite(interval.low):
        return "no interval"
    if percent:
        return f"95 % interval {100 * interval.low:.0f} to {100 * interval.high:.0f} %"
    return f"95 % interval {interval.low:.3f} to {interval.high:.3f}"


def _plain(text: str) -> str:
    return escape(text.replace("`", ""))
