"""Whether a candidate may take the place of the model that serves: it must not be worse, on patients, within a margin.

The question is one of non-inferiority: the lower end of the interval of mean(candidate - champion) over validation
patients must lie above -margin. The patients are drawn again, each with both its figures (paired bootstrap, percentile
interval: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 13.3), because the two models look at
the same patients and easy ones are easy for both.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import isnan

import numpy as np

from tumorseg.errors import InputError
from tumorseg.metrics.bootstrap import LEVEL, bootstrap_interval

#: How much Dice a candidate may lose and still be called not worse.
MARGIN = 0.02


@dataclass(frozen=True)
class Verdict:
    """What came of a challenge.

    Attributes:
        publish: whether the candidate may serve.
        difference: mean of candidate - champion over the patients (candidate alone where nothing served); NaN without
            patients.
        low: lower end of its interval.
        high: upper end.
        patients: how many were compared.
        why: one sentence for people.
    """

    publish: bool
    difference: float
    low: float
    high: float
    patients: int
    why: str


@dataclass(frozen=True)
class _Compared:
    """The difference over some patients."""

    difference: float
    low: float
    high: float
    patients: int
    level: float

    def __str__(self) -> str:
        if self.patients == 1:
            return f"{self.difference:+.3f} (the one patient's own difference: no interval can be given)"
        return f"{self.difference:+.3f} ({self.level:.0%} interval {self.low:+.3f} to {self.high:+.3f})"


def decide(
    champion: Mapping[str, float],
    candidate: Mapping[str, float],
    *,
    settled: Collection[str] = (),
    lesions: Collection[str] | None = None,
    margin: float = MARGIN,
    level: float = LEVEL,
    seed: int = 0,
) -> Verdict:
    """Compare two models on the same validation patients.

    Args:
        champion: patient -> Dice of the serving model in [0, 1]; NaN counts as 0, the worst. Empty: nothing served.
        candidate: the same of the candidate.
        settled: patients whose label stood already when the champion was published. Over them alone the candidate must
            not be worse either: a round whose new labels are all wrong would otherwise win by agreeing with itself.
            Those that were not measured are passed over.
        lesions: patients who have something to find. Over them alone the candidate must not be worse either: among
            enough patients without a lesion a model that finds nothing at all would win. None: all of them.
        margin: how much Dice may be lost.
        level: coverage of the interval, in (0, 1).
        seed: of the resamples; the same seed gives the same verdict.

    Raises:
        InputError: the two were measured on different patients, a figure is no Dice, or margin or level are none.
    """
    if not 0 <= margin <= 1 or not 0 < level < 1:
        raise InputError(f"expected a margin in [0, 1] and a level in (0, 1), got {margin} and {level}")
    old, new = _figures(champion, "champion"), _figures(candidate, "candidate")
    if not new:
        return _unmeasured(old)
    found = set(new if lesions is None else lesions)
    shown = [patient for patient in new if patient in found]
    if not shown:
        return _refused("no validation patient has a lesion, so that nobody can tell whether it finds any; label one")
    if not old:
        return _first({patient: new[patient] for patient in shown}, level, seed)
    if old.keys() != new.keys():
        one = sorted(old.keys() ^ new.keys())[0]
        raise InputError(
            f"expected both models measured on the same patients, got {len(old)} of the champion and {len(new)} of the "
            f"candidate; {one!r} is only in one of them: measure both on the same patients"
        )
    every = _compare(old, new, list(new), level, seed)
    known = [patient for patient in new if patient in set(settled)]
    parts = {"whose labels stood before": known, "who have a lesion": shown}
    some = {who: _compare(old, new, part, level, seed) for who, part in parts.items() if 0 < len(part) < len(new)}
    return _judged(every, some, margin)


def _judged(every: _Compared, parts: Mapping[str, _Compared], margin: float) -> Verdict:
    """Publish where no comparison, over all or over some of the patients, may hide a loss beyond the margin."""
    on = [f"Dice changes by {every} on {_patients(every.patients)}"]
    on += [f"by {part} on the {part.patients} {who}" for who, part in parts.items()]
    losing = [who for who, part in parts.items() if not part.low > -margin]
    publish = every.low > -margin and not losing
    where = f"on those {losing[0]} " if every.low > -margin and losing else ""
    end = f"a loss of more than {margin:g} is {'' if publish else 'not '}ruled out"
    told = f"{'published' if publish else 'refused'}: {', '.join(on)}; {where}{end}"
    return Verdict(publish, every.difference, every.low, every.high, every.patients, told)


def _unmeasured(champion: Mapping[str, float]) -> Verdict:
    """Nobody is published unmeasured."""
    if champion:
        raise InputError(f"expected the candidate measured on {_patients(len(champion))}, got no figure of it")
    return _refused("there is no validation patient to compare on; label a second patient, so that one can validate")


def _refused(why: str) -> Verdict:
    nan = float("nan")
    return Verdict(False, nan, nan, nan, 0, f"refused: {why}")


def _first(candidate: Mapping[str, float], level: float, seed: int) -> Verdict:
    """Nothing served before: whatever finds something of what there is to find is better."""
    zeros = dict.fromkeys(candidate, 0.0)
    found = _compare(zeros, candidate, list(candidate), level, seed)
    publish = found.difference > 0
    said = f"Dice is {found.difference:.3f} on {_patients(found.patients)}"
    why = f"published: nothing served before, {said}" if publish else f"refused: it finds nothing, {said}"
    return Verdict(publish, found.difference, found.low, found.high, found.patients, why)


def _compare(
    old: Mapping[str, float], new: Mapping[str, float], patients: list[str], level: float, seed: int
) -> _Compared:
    # In one order, whatever order they were measured in.
    gains = np.array([new[patient] - old[patient] for patient in sorted(patients)])
    low, high = bootstrap_interval(gains, np.random.default_rng(seed), level=level)
    return _Compared(float(gains.mean()), low, high, len(gains), level)


def _figures(measured: Mapping[str, float], whose: str) -> dict[str, float]:
    figures = {patient: 0.0 if isnan(value) else float(value) for patient, value in measured.items()}
    wrong = {patient: value for patient, value in figures.items() if not 0 <= value <= 1}
    if wrong:
        raise InputError(f"expected Dice in [0, 1] of the {whose}, got {wrong}")
    return figures


def _patients(count: int) -> str:
    return f"{count} validation patient{'' if count == 1 else 's'}"
