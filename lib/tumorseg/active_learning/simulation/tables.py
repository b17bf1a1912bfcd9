"""A simulation as a Markdown table and a few sentences."""

from __future__ import annotations

from tumorseg.active_learning.simulation.settings import BASELINE, TINY, Settings
from tumorseg.active_learning.simulation.summary import Outcome, Summary
from tumorseg.evaluation.numbers import percent, shown

_HEAD = (
    "| Strategy | area under the budget curve | against foreground_random | p (Holm) | slices for 90 % | for 95 % "
    "| last Dice | next batch |",
    "|---|---|---|---|---|---|---|---|",
)


def markdown(summary: Summary) -> str:
    """Return the page."""
    settings = summary.settings
    what = "made-up patients: this tests the loop, no strategy" if summary.data.startswith("synthetic") else "patients"
    model = "a small U-Net" if settings.model == TINY else settings.model
    intro = (
        f"{summary.data}, {what}. {summary.seeds} seeds; {model}, {settings.steps} steps a training, "
        f"{'from the weights of the round before' if settings.warm else 'from random values'}, one pixel of "
        f"{settings.shrink} x {settings.shrink}; {settings.start} {settings.unit}s to start with, then "
        f"{_batches(settings)}, of {summary.pool_slices} slices of {summary.pool_patients} patients. "
        f"With all of them labelled the mean Dice is {summary.full:.3f}. "
        "Intervals are bootstrap 95 % over seeds and held-out patients."
    )
    return "\n".join(
        [intro, "", *_HEAD, *(_row(o, summary) for o in summary.outcomes), "", verdict(summary), *_limits(summary), ""]
    )


def _batches(settings: Settings) -> str:
    sizes = [settings.batch_of(round_) for round_ in range(settings.rounds - 1)]
    return f"{sizes[0]} a round" if settings.growth == 1 else f"{', '.join(map(str, sizes))} more"


def verdict(summary: Summary) -> str:
    """Return which strategy is to be the default, and why."""
    if summary.significant:
        return f"Default: **{summary.default}**, better than {BASELINE} beyond chance (paired t-test over seeds, Holm)."
    return (
        f"Default: **{summary.default}**. No strategy is better than {BASELINE} beyond chance (paired t-test over "
        f"{summary.seeds} seeds, Holm), so it is the better kind of random."
    )


def _limits(summary: Summary) -> list[str]:
    """Return what makes the columns of 90 and 95 % worthless, where it is so."""
    best = max(float(outcome.dice.max()) for outcome in summary.outcomes)
    if best < summary.full:
        return []
    text = (
        f"Some labels gave {best:.3f}, more than all of them ({summary.full:.3f}): {summary.settings.steps} steps are "
        "too few for so many, and the columns of 90 and 95 % say little. Train longer with --steps."
    )
    return ["", text]


def _row(outcome: Outcome, summary: Summary) -> str:
    needed = [_needed(outcome.labels_for[part], summary.pool_slices) for part in (90, 95)]
    coming = outcome.next
    cells = (
        f"`{outcome.name}`",
        shown(outcome.aubc),
        "" if outcome.versus is None else shown(outcome.versus),
        "" if outcome.p is None else f"{outcome.p:.3f}",
        *needed,
        f"{outcome.dice[-1]:.3f}",
        "-" if coming is None else f"{coming.gain:+.3f} [{coming.low:+.3f}, {coming.high:+.3f}]",
    )
    return f"| {' | '.join(cells)} |"


def _needed(count: float | None, pool: int) -> str:
    return "not reached" if count is None else f"{count:.0f} ({percent(count / pool)})"
