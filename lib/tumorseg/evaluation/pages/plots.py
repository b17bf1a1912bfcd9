"""Curves as SVG that takes its colours from the page, in light and in dark."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

#: Written by the plotting library, replaced by what the page's style sheet says.
_INK, _GRID, _SERIES = "#010203", "#010204", ("#010205", "#010206", "#010207")
_COLOURS = {
    _INK: "var(--ink)",
    _GRID: "var(--line)",
    _SERIES[0]: "var(--accent)",
    _SERIES[1]: "var(--other)",
    _SERIES[2]: "var(--good)",
}
SIZE = (4.6, 3.7)  # inches; the page scales it


@dataclass(frozen=True)
class Curve:
    """One line of a plot: points ``(P,)`` each, its name, and whether it falls in steps between them."""

    x: NDArray[Any]
    y: NDArray[Any]
    name: str
    steps: bool = False


@dataclass(frozen=True)
class Point:
    """A marked place, for example the operating threshold."""

    x: float
    y: float
    name: str


def plot(
    curves: Sequence[Curve],
    labels: tuple[str, str],
    *,
    points: Sequence[Point] = (),
    x_range: tuple[float, float] = (0.0, 1.02),
    diagonal: bool = False,
    x_ticks: Sequence[float] | None = None,
) -> str:
    """Return an SVG element with the curves, y from 0 to 1; with ``x_ticks`` the other axis is logarithmic."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    # Text stays text, in the page's font; the salt makes the same curves the same file.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "|".join(labels), "font.size": 10}):
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.subplots()
        if diagonal:
            axes.plot([0, 1], [0, 1], color=_GRID, linestyle="--")
        for number, curve in enumerate(curves):
            axes.plot(
                curve.x,
                curve.y,
                color=_SERIES[number % len(_SERIES)],
                linewidth=2,
                label=curve.name,
                drawstyle="steps-post" if curve.steps else "default",
            )
        for point in points:
            axes.plot([point.x], [point.y], "o", color=_INK, markersize=7, label=point.name)
        _dress(axes, labels, x_range, x_ticks)
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _inline(file.getvalue())


def _dress(axes: Axes, labels: tuple[str, str], x_range: tuple[float, float], x_ticks: Sequence[float] | None) -> None:
    if x_ticks is not None:
        axes.set_xscale("log", base=2)
        axes.set_xticks(x_ticks, [f"{tick:g}" for tick in x_ticks])
    axes.set_xlim(*x_range)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel(labels[0], color=_INK)
    axes.set_ylabel(labels[1], color=_INK)
    axes.tick_params(colors=_INK)
    axes.grid(color=_GRID, linewidth=0.8)
    for side, spine in axes.spines.items():
        spine.set_color(_GRID)
        spine.set_visible(side in ("left", "bottom"))
    if axes.get_legend_handles_labels()[1]:
        legend = axes.legend(loc="lower right" if labels[1] != "precision" else "lower left", frameon=False)
        for text in legend.get_texts():
            text.set_color(_INK)


def _inline(svg: str) -> str:
    """Cut the XML head off, so that the element can stand in a page, and name the page's colours."""
    element = svg[svg.index("<svg") :]
    for written, wanted in _COLOURS.items():
        element = element.replace(written, wanted)
    element = re.sub(r"<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    element = re.sub(r'<g id="[^"]*"', "<g", element)  # named alike in every plot, and asked for by nobody
    return re.sub(r'(<svg[^>]*?) width="[^"]*" height="[^"]*"|(<svg[^>]*?)', r"\1\2", element, count=1)
