"""What the clicks of all patients come to, with intervals by patient.

Number of clicks (NoC@d): the fewest clicks after which the Dice was at least d, averaged over patients. A start that is
good enough counts 0 (from nothing that cannot be, and the figure is the usual one); a patient who never gets there
counts as the limit, and how many these are is said beside it, for else a low limit would look like a good method.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan

import numpy as np

from tumorseg.evaluation.interactive.results import ClickReport, PatientClicks
from tumorseg.evaluation.report import Interval
from tumorseg.metrics.bootstrap import bootstrap_interval
from tumorseg.metrics.patients import interval_by_patient, weighted_ratio

#: Clicks after which the Dice is told, where the limit allows.
AFTER = (0, 1, 2, 3, 5, 10, 20)
#: Dice that is to be reached, for NoC.
TARGETS = (0.85, 0.90)
SEED = 20190218
# Less is rounding and no loss.
_LESS = 1e-9


@dataclass(frozen=True)
class Reached:
    """Clicks to a Dice.

    Attributes:
        clicks: mean over patients.
        failures: patients who never got there.
    """

    clicks: Interval
    failures: int


@dataclass(frozen=True)
class ClickSummary:
    """Over all patients.

    Attributes:
        dice_after: number of clicks -> mean Dice.
        noc: Dice -> how many clicks it took.
        gains: number n -> mean change of the Dice by the n-th click, over patients who made one, and how many these
            are.
        clicks: made by all patients together.
        lowered: share of them after which the Dice was lower than before.
        elsewhere: pairs of a click and a lesion that the click has nothing to do with.
        harmed: those of them in which the lesion lost a correct voxel.
        median_s, p95_s: seconds of a click.
        encode_s: median seconds until the first click could be answered.
    """

    dice_after: Mapping[int, Interval]
    noc: Mapping[float, Reached]
    gains: Mapping[int, tuple[Interval, int]]
    clicks: int
    lowered: Interval
    elsewhere: int
    harmed: int
    median_s: float
    p95_s: float
    encode_s: float


def summarise(report: ClickReport, *, seed: int = SEED) -> ClickSummary:
    """Put the clicks of all patients together; the same rows give the same intervals."""
    rows, limit = report.rows, report.limit
    seconds = [step.seconds for row in rows for step in row.made]
    return ClickSummary(
        dice_after={n: _mean([row.dice_after(n) for row in rows], seed) for n in AFTER if n <= limit},
        noc={target: reached(rows, target, limit, seed=seed) for target in TARGETS},
        gains={n: (_mean(values, seed), len(values)) for n in range(1, limit + 1) if (values := _gains(rows, n))},
        clicks=len(seconds),
        lowered=_lowered(rows, seed),
        elsewhere=sum(step.elsewhere for row in rows for step in row.made),
        harmed=sum(step.harmed for row in rows for step in row.made),
        median_s=float(np.median(seconds)) if seconds else nan,
        p95_s=float(np.quantile(seconds, 0.95)) if seconds else nan,
        encode_s=float(np.median([row.encode_s for row in rows])),
    )


def reached(rows: Sequence[PatientClicks], dice: float, limit: int, *, seed: int = SEED) -> Reached:
    """Return the mean number of clicks to a Dice; who never gets there counts as ``limit``."""
    counts = [row.clicks_to(dice) for row in rows]
    return Reached(_mean([limit if n is None else n for n in counts], seed), sum(n is None for n in counts))


def curve(report: ClickReport, *, seed: int = SEED) -> list[Interval]:
    """Return the mean Dice after 0, 1, … ``limit`` clicks."""
    return [_mean([row.dice_after(n) for row in report.rows], seed) for n in range(report.limit + 1)]


def _gains(rows: Sequence[PatientClicks], number: int) -> list[float]:
    return [row.steps[number].dice - row.steps[number - 1].dice for row in rows if len(row.steps) > number]


def _lowered(rows: Sequence[PatientClicks], seed: int) -> Interval:
    """Return the share of clicks that made it worse; patients are drawn again, each with all its clicks."""
    made = np.array([len(row.made) for row in rows], np.float64)
    pairs = [zip(row.steps, row.made, strict=False) for row in rows]
    worse = np.array([sum(b.dice < a.dice - _LESS for a, b in one) for one in pairs], np.float64)
    if not made.sum():
        return Interval(nan, nan, nan)
    names = [row.patient for row in rows]
    low, high = interval_by_patient(weighted_ratio(worse, made), names, np.random.default_rng(seed))
    return Interval(float(worse.sum() / made.sum()), low, high)


def _mean(values: Sequence[float], seed: int) -> Interval:
    low, high = bootstrap_interval(values, np.random.default_rng(seed))
    return Interval(float(np.mean(values)), low, high)
