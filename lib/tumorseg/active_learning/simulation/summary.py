"""What a simulation says: a curve and its area for each strategy, and which one is to be the default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorseg.active_learning.curves import aubc, holm, interval, labels_for, paired_p
from tumorseg.active_learning.simulation.records import Record, Records
from tumorseg.active_learning.simulation.settings import BASELINE, Settings
from tumorseg.active_learning.simulation.trajectory import FULL
from tumorseg.active_learning.stopping import Forecast, forecast
from tumorseg.errors import InputError
from tumorseg.evaluation.numbers import bounds, number
from tumorseg.evaluation.report import Interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

PLAIN_RANDOM = "random"
#: Below this, adjusted for the number of strategies, a strategy counts as better than the baseline.
SIGNIFICANT = 0.05
SEED = 20190218


@dataclass(frozen=True, eq=False)
class Outcome:
    """One strategy over all seeds.

    Attributes:
        name: registry name.
        units: ``(R,)`` labelled units of each round.
        slices: ``(R,)`` labelled slices, mean over seeds.
        patients: ``(R,)`` patients with a label, mean over seeds.
        dice: ``(R,)`` mean over seeds and held-out patients.
        low: ``(R,)`` lower bound of it.
        high: ``(R,)`` upper bound of it.
        areas: ``(S,)`` area under the budget curve of each seed.
        aubc: their mean with its interval.
        labels_for: per cent of the full-data Dice -> labelled slices, None where it was not reached.
        versus: mean difference of the areas to the baseline with its interval; None for the baseline itself.
        p: adjusted p that the difference is above 0.
        next: what one more batch would bring.
    """

    name: str
    units: NDArray[np.float64]
    slices: NDArray[np.float64]
    patients: NDArray[np.float64]
    dice: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    areas: NDArray[np.float64]
    aubc: Interval
    labels_for: Mapping[int, float | None]
    versus: Interval | None
    p: float | None
    next: Forecast | None


@dataclass(frozen=True, eq=False)
class Summary:
    """All strategies, the best first.

    Attributes:
        outcomes: of each strategy, by falling area.
        full: Dice with every slice labelled, mean over seeds and patients.
        pool_slices: how many slices there are to label.
        pool_patients: of how many patients.
        default: the strategy to take.
        significant: whether it is better than the baseline beyond chance.
        seeds: how many.
        data: which data.
        settings: of the loop.
    """

    outcomes: tuple[Outcome, ...]
    full: float
    pool_slices: int
    pool_patients: int
    default: str
    significant: bool
    seeds: int
    data: str
    settings: Settings

    def as_json(self) -> dict[str, Any]:
        """Return plain values; ``strategies``, ``default`` and ``seeds`` are what a check reads."""
        return {
            "strategies": {outcome.name: _plain(outcome) for outcome in self.outcomes},
            "default": self.default,
            "seeds": self.seeds,
            "significant": self.significant,
            "full_dice": number(self.full),
            "pool_slices": self.pool_slices,
            "pool_patients": self.pool_patients,
            "data": self.data,
            "settings": self.settings.as_dict(),
        }


def _plain(outcome: Outcome) -> dict[str, Any]:
    versus, coming = outcome.versus, outcome.next
    return {
        "aubc_mean": number(outcome.aubc.value),
        "aubc_ci": bounds(outcome.aubc),
        **{f"labels_for_{part}": outcome.labels_for[part] for part in outcome.labels_for},
        "aubc_seeds": [number(area) for area in outcome.areas],
        "gain": None if versus is None else number(versus.value),
        "gain_ci": None if versus is None else bounds(versus),
        "p": None if outcome.p is None else number(outcome.p),
        "next_batch": None if coming is None else [number(v) for v in (coming.gain, coming.low, coming.high)],
        "curve": {
            name: [number(value) for value in getattr(outcome, name)]
            for name in ("slices", "patients", "dice", "low", "high")
        },
    }


def summarise(
    records: Records, strategies: Sequence[str], seeds: Sequence[int], settings: Settings, data: str
) -> Summary:
    """Put the stored rounds together.

    Raises:
        InputError: a round is missing.
    """
    runs = {name: _runs(records, name, seeds, settings.rounds) for name in strategies}
    everything = [run[0] for run in _runs(records, FULL, seeds, 1)]
    full = float(_cube([[record] for record in everything]).mean())
    base = _cube(runs[BASELINE])
    units = _mean(runs[BASELINE], "units")
    p = holm(
        {
            name: paired_p(aubc(units, (_cube(run) - base).mean(axis=1)))
            for name, run in runs.items()
            if name != BASELINE
        }
    )
    outcomes = [_outcome(name, run, base, full, p.get(name), settings) for name, run in runs.items()]
    ranked = tuple(sorted(outcomes, key=lambda outcome: -outcome.aubc.value))
    default, significant = choose_default(ranked)
    first = everything[0]
    return Summary(ranked, full, first.slices, first.patients, default, significant, len(seeds), data, settings)


def choose_default(ranked: Sequence[Outcome]) -> tuple[str, bool]:
    """Return the best strategy that is better than the baseline beyond chance, else plain random.

    Never the baseline: it is told the truth here, which nobody can tell a server.

    Args:
        ranked: by falling area.
    """
    for outcome in ranked:
        if outcome.p is not None and outcome.p < SIGNIFICANT:
            return outcome.name, True
    return PLAIN_RANDOM, False


def _outcome(
    name: str,
    run: Sequence[Sequence[Record]],
    base: NDArray[np.float64],
    full: float,
    p: float | None,
    settings: Settings,
) -> Outcome:
    cube, units, slices = _cube(run), _mean(run, "units"), _mean(run, "slices")
    curve = cube.mean(axis=(0, 1))
    low, high = interval(cube, np.random.default_rng(SEED))
    areas = aubc(units, cube.mean(axis=1))
    needed = {part: labels_for(part / 100 * full, list(slices), list(curve)) for part in (90, 95)}
    coming = forecast(list(units), list(curve), settings.batch_of(settings.rounds - 1), np.random.default_rng(SEED))
    return Outcome(
        name=name,
        units=units,
        slices=slices,
        patients=_mean(run, "patients"),
        dice=curve,
        low=low,
        high=high,
        areas=areas,
        aubc=_area(cube, units),
        labels_for={part: None if count is None else round(count, 1) for part, count in needed.items()},
        versus=None if name == BASELINE else _area(cube - base, units),
        p=p,
        next=coming,
    )


def _area(cube: NDArray[np.float64], units: NDArray[np.float64]) -> Interval:
    low, high = interval(cube, np.random.default_rng(SEED), lambda curves: aubc(units, curves))
    return Interval(float(aubc(units, cube.mean(axis=(0, 1)))), float(low), float(high))


def _runs(records: Records, name: str, seeds: Sequence[int], rounds: int) -> list[list[Record]]:
    runs = []
    for seed in seeds:
        found = [records.get(name, seed, round_) for round_ in range(rounds)]
        done = [record for record in found if record is not None]
        if len(done) < rounds:
            raise InputError(f"{name}, seed {seed}: expected {rounds} rounds in {records.folder}, got {len(done)}")
        runs.append(done)
    return runs


def _cube(run: Sequence[Sequence[Record]]) -> NDArray[np.float64]:
    """``(S, P, R)`` Dice of each seed, held-out patient and round."""
    patients = sorted(run[0][0].dice)
    return np.array([[[record.dice[p] for record in rounds] for p in patients] for rounds in run])


def _mean(run: Sequence[Sequence[Record]], name: str) -> NDArray[np.float64]:
    values = np.array([[getattr(record, name) for record in rounds] for rounds in run], np.float64)
    return np.asarray(values.mean(axis=0))
