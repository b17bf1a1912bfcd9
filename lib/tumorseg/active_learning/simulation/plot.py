"""The curves of a simulation: Dice against labelled slices and against labelled patients."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from tumorseg.active_learning.simulation.settings import BASELINE
from tumorseg.active_learning.simulation.summary import PLAIN_RANDOM, Outcome, Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE = (11.0, 5.0)  # inches
_QUIET = {BASELINE: "black", PLAIN_RANDOM: "grey"}


def plot(summary: Summary) -> bytes:
    """Return a PNG. The baseline and the best strategy carry their interval; the others only their line."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE, layout="constrained", dpi=130)
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, along in ((left, "slices"), (right, "patients")):
        for outcome in summary.outcomes:
            _line(axes, outcome, along, shaded=outcome.name in (BASELINE, summary.outcomes[0].name))
        axes.axhline(summary.full, color="black", linewidth=0.8, linestyle=":", label="all labelled")
        axes.axhline(0.95 * summary.full, color="grey", linewidth=0.8, linestyle=":", label="95 % of it")
        axes.set_xlabel(f"labelled {along}")
        axes.grid(alpha=0.3)
    left.set_ylabel("mean volume Dice, held-out patients")
    right.legend(loc="lower right", fontsize=8, ncols=2, frameon=False)
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def _line(axes: Axes, outcome: Outcome, along: str, *, shaded: bool) -> None:
    x = getattr(outcome, along)
    quiet = outcome.name in _QUIET
    (line,) = axes.plot(
        x,
        outcome.dice,
        marker="o",
        markersize=3,
        label=outcome.name,
        linewidth=2.2 if shaded or quiet else 1.2,
        linestyle="--" if quiet else "-",
        color=_QUIET.get(outcome.name),
    )
    if shaded:
        axes.fill_between(x, outcome.low, outcome.high, color=line.get_color(), alpha=0.12, linewidth=0)
