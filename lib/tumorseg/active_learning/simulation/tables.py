"""What a simulation says as a Markdown table and a few sentences, made from its JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import nan
from typing import Any

from tumorseg.active_learning.simulation.settings import BASELINE, TINY, Settings
from tumorseg.evaluation.numbers import percent, shown
from tumorseg.evaluation.report import Interval

_HEAD = (
    f"| Strategy | area under the budget curve | against {BASELINE} | p (Holm) | slices for 90 % | for 95 % "
    "| last Dice | next batch [90 %] |",
    "|---|---|---|---|---|---|---|---|",
)

Told = Mapping[str, Any]


def markdown(told: Told) -> str:
    """Return the page.

    Args:
        told: ``simulation.json``, which is :meth:`tumorseg.active_learning.simulation.summary.Summary.as_json`.
    """
    rows = [_row(name, found, told["pool_slices"]) for name, found in told["strategies"].items()]
    return "\n".join([_intro(told), "", *_HEAD, *rows, "", verdict(told), *_limits(told), ""])


def _intro(told: Told) -> str:
    settings = Settings(**told["settings"])
    what = "made-up patients: this tests the loop, no strategy" if told["data"].startswith("synthetic") else "patients"
    model = "a small U-Net" if settings.model == TINY else settings.model
    return (
        f"{told['data']}, {what}. {told['seeds']} seeds; {model}, {settings.steps} steps a training, "
        f"{'from the weights of the round before' if settings.warm else 'from random values'}, one pixel of "
        f"{settings.shrink} x {settings.shrink}; {settings.start} {settings.unit}s to start with, then "
        f"{_batches(settings)}, of {told['pool_slices']} slices of {told['pool_patients']} patients. "
        f"With all of them labelled the mean Dice is {told['full_dice']:.3f}. "
        "Intervals are bootstrap 95 % over seeds and held-out patients, of the next batch 90 % by the fitted curve."
    )


def _batches(settings: Settings) -> str:
    sizes = [settings.batch_of(round_) for round_ in range(settings.rounds - 1)]
    return f"{sizes[0]} a round" if settings.growth == 1 else f"{', '.join(map(str, sizes))} more"


def verdict(told: Told) -> str:
    """Return which strategy is to be the default, and why."""
    if told["significant"]:
        return (
            f"Default: **{told['default']}**, better than {BASELINE} beyond chance (one-sided paired t-test over "
            f"{told['seeds']} seeds, Holm)."
        )
    return (
        f"Default: **{told['default']}**. No strategy is better than {BASELINE} beyond chance (one-sided paired "
        f"t-test over {told['seeds']} seeds, Holm), and that cannot serve: the truth tells it here where tumour is."
    )


def _limits(told: Told) -> Iterator[str]:
    """Yield what makes the columns of 90 and 95 % worthless, where it is so."""
    best = max(max(found["curve"]["dice"]) for found in told["strategies"].values())
    if best >= told["full_dice"]:
        yield ""
        yield (
            f"Some labels gave {best:.3f}, more than all of them ({told['full_dice']:.3f}): "
            f"{told['settings']['steps']} steps are too few for so many, and the columns of 90 and 95 % say little. "
            "Train longer with --steps."
        )


def _row(name: str, found: Told, pool: int) -> str:
    coming = found["next_batch"]
    cells = (
        f"`{name}`",
        _shown(found["aubc_mean"], found["aubc_ci"]),
        "" if found["gain_ci"] is None else _shown(found["gain"], found["gain_ci"]),
        "" if found["p"] is None else f"{found['p']:.3f}",
        *(_needed(found[f"labels_for_{part}"], pool) for part in (90, 95)),
        f"{found['curve']['dice'][-1]:.3f}",
        "-" if coming is None else "{:+.3f} [{:+.3f}, {:+.3f}]".format(*coming),
    )
    return f"| {' | '.join(cells)} |"


def _shown(value: float | None, ends: Sequence[float | None]) -> str:
    return shown(Interval(*(nan if number is None else number for number in (value, *ends))))


def _needed(count: float | None, pool: int) -> str:
    return "not reached" if count is None else f"{count:.0f} ({percent(count / pool)})"
