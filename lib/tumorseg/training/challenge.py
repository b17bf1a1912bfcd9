"""Whether a candidate may take the place of the model that serves: it must not be worse, on patients, within a margin.

The question is one of non-inferiority: the lower end of the interval of mean(candidate - champion) over validation
patients must lie above -margin. The patients are drawn again, each with both its figures (paired bootstrap, percentile
interval: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 13.3), because the two models look at
the same patients and easy ones are easy for both.

Of few patients that interval is too narrow: of three it ends at the worst one's own difference, and a loss of just the
margin passes in one case of eleven. Below :data:`FEW` it is therefore made as wide as that of Student's t (Biometrika
1908). Which is so wide that a new site would never see its first improvement; so there a candidate is also published
where not one patient is worse. That is less than the interval promises and is called so: with one patient a candidate
that truly loses the margin passes one time in four (``benchmarks/verdicts.py``).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import isnan, nan, sqrt
from typing import TYPE_CHECKING

import numpy as np

from tumorseg.errors import InputError
from tumorseg.metrics.bootstrap import LEVEL, bootstrap_interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: How much Dice a candidate may lose and still be called not worse.
MARGIN = 0.02
#: From so many patients on the bootstrap interval is as wide as it says.
FEW = 20


@dataclass(frozen=True)
class Verdict:
    """What came of a challenge.

    Attributes:
        publish: whether the candidate may serve.
        difference: mean of candidate - champion over the patients (candidate alone where nothing served); NaN without
            patients.
        low: lower end of its interval; NaN with fewer than two patients.
        high: upper end; the same.
        patients: how many were compared.
        why: one sentence for people.
        better: whether the candidate gained for sure: its interval lies above 0 or, of few patients but more than one,
            each gained. Also where nothing served before.
    """

    publish: bool
    difference: float
    low: float
    high: float
    patients: int
    why: str
    better: bool = False


@dataclass(frozen=True)
class _Compared:
    """The difference over some patients, and that of the one who lost most."""

    difference: float
    low: float
    high: float
    patients: int
    least: float
    level: float

    def __str__(self) -> str:
        if self.patients == 1:
            return f"{self.difference:+.3f}"
        return f"{self.difference:+.3f} ({self.level:.0%} interval {self.low:+.3f} to {self.high:+.3f})"

    def rules_out(self, margin: float) -> bool:
        """Whether more than the margin is not lost, as sure as the interval is."""
        return self.low > -margin

    def holds(self, margin: float) -> bool:
        """Whether this lets the candidate serve: by the interval or, of few, because not one is worse."""
        return self.rules_out(margin) or (self.patients < FEW and self.least >= 0 and self.least > -margin)

    def contradicts(self, margin: float) -> bool:
        """Whether this speaks against a candidate that others speak for: of few, one who lost more than the margin."""
        return not (self.rules_out(margin) or (self.patients < FEW and self.least > -margin))

    @property
    def gained(self) -> bool:
        """Whether the candidate is better for sure."""
        return self.patients > 1 and (self.low > 0 or (self.patients < FEW and self.least > 0))


def decide(
    champion: Mapping[str, float],
    candidate: Mapping[str, float],
    *,
    settled: Collection[str] = (),
    lesions: tuple[Mapping[str, float], Mapping[str, float]] | None = None,
    margin: float = MARGIN,
    level: float = LEVEL,
    seed: int = 0,
) -> Verdict:
    """Compare two models on the same validation patients.

    Args:
        champion: patient -> Dice of the serving model in [0, 1]; NaN counts as 0, the worst. Empty: nothing served.
        candidate: the same of the candidate.
        settled: patients whose label stood already when the champion was published. They must not speak against the
            candidate: a round whose new labels are all wrong would otherwise win by agreeing with itself. Those that
            were not measured are passed over.
        lesions: the same two figures over those images alone that show something to find. There too the candidate must
            not be worse: with enough images without a lesion, of other patients or of the same ones, a model that finds
            nothing at all would win. None: all images show something.
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
    old_shown, new_shown = (old, new) if lesions is None else (_figures(one, "two on lesions") for one in lesions)
    if not new_shown:
        return _refused("no validation patient has a lesion, so that nobody can tell whether it finds any; label one")
    if not old:
        return _first(new_shown, level, seed)
    figures = {"": (old, new)}
    if (old_shown, new_shown) != (old, new):
        figures["on lesions "] = (old_shown, new_shown)
    deciding = {where: _compare(*both, level, seed) for where, both in figures.items()}
    before = {
        f"{where}on those whose labels stood before ": _compare(*known, level, seed)
        for where, both in figures.items()
        if 0 < len((known := _among(settled, *both))[1]) < len(both[1])
    }
    return _judged(deciding, before, margin)


def _among(
    settled: Collection[str], old: Mapping[str, float], new: Mapping[str, float]
) -> tuple[dict[str, float], dict[str, float]]:
    """Return the figures of some patients."""
    old, new = ({who: figure for who, figure in one.items() if who in settled} for one in (old, new))
    return old, new


def _judged(deciding: Mapping[str, _Compared], before: Mapping[str, _Compared], margin: float) -> Verdict:
    """Publish where neither all patients nor their lesions may hide a loss, and what stood before does not object.

    Args:
        deciding: where -> what must hold, over all images (``""``) and perhaps over those with a lesion.
        before: the same of those whose labels stood before.
        margin: that may be lost.
    """
    every = deciding[""]
    on = [f"Dice changes by {every} on {_patients(every.patients)}"]
    on += [f"by {one} {where}({one.patients})" for where, one in (*deciding.items(), *before.items()) if where]
    against = [(where, one) for where, one in deciding.items() if not one.holds(margin)]
    against += [(where, one) for where, one in before.items() if one.contradicts(margin)]
    unsure = [(where, one) for where, one in deciding.items() if not one.rules_out(margin)]
    ruled_out = f"a loss of more than {margin:g} is ruled out"
    said = _objection(*against[0], margin) if against else _consent(*unsure[0]) if unsure else ruled_out
    told = f"{'refused' if against else 'published'}: {', '.join(on)}; {said}"
    better = all(one.gained for one in deciding.values())
    return Verdict(not against, every.difference, every.low, every.high, every.patients, told, better)


def _objection(where: str, found: _Compared, margin: float) -> str:
    """Say why not."""
    if found.patients == 1:
        return f"{where}the one patient speaks against it"
    return f"{where}a loss of more than {margin:g} is not ruled out"


def _consent(where: str, found: _Compared) -> str:
    """Say why although few patients prove little."""
    if found.patients == 1:
        return f"{where}it is not worse on the one patient, which rules nothing out"
    return f"{where}none of the {found.patients} is worse, but so few rule nothing out"


def _unmeasured(champion: Mapping[str, float]) -> Verdict:
    """Nobody is published unmeasured."""
    if champion:
        raise InputError(f"expected the candidate measured on {_patients(len(champion))}, got no figure of it")
    return _refused("there is no validation patient to compare on; label a second patient, so that one can validate")


def _refused(why: str) -> Verdict:
    return Verdict(False, nan, nan, nan, 0, f"refused: {why}")


def _first(candidate: Mapping[str, float], level: float, seed: int) -> Verdict:
    """Nothing served before: whatever finds something of what there is to find is better."""
    found = _compare(dict.fromkeys(candidate, 0.0), candidate, level, seed)
    publish = found.difference > 0
    said = f"Dice is {found.difference:.3f} on {_patients(found.patients)}"
    why = f"published: nothing served before, {said}" if publish else f"refused: it finds nothing, {said}"
    return Verdict(publish, found.difference, found.low, found.high, found.patients, why, better=publish)


def _compare(old: Mapping[str, float], new: Mapping[str, float], level: float, seed: int) -> _Compared:
    if old.keys() != new.keys():
        one = sorted(old.keys() ^ new.keys())[0]
        raise InputError(
            f"expected both models measured on the same patients, got {len(old)} of the champion and {len(new)} of the "
            f"candidate; {one!r} is only in one of them: measure both on the same patients"
        )
    # In one order, whatever order they were measured in.
    gains = np.array([new[patient] - old[patient] for patient in sorted(new)])
    low, high = _interval(gains, level, seed)
    return _Compared(float(gains.mean()), low, high, len(gains), float(gains.min()), level)


def _interval(gains: NDArray[np.float64], level: float, seed: int) -> tuple[float, float]:
    """Return the interval of the mean: the bootstrap's and, of few patients, Student's where that is wider."""
    count = len(gains)
    if count < 2:
        return nan, nan
    low, high = bootstrap_interval(gains, np.random.default_rng(seed), level=level)
    if count >= FEW:
        return low, high
    from scipy.special import stdtrit

    reach = float(stdtrit(count - 1, (1 + level) / 2)) * float(gains.std(ddof=1)) / sqrt(count)
    return min(low, float(gains.mean()) - reach), max(high, float(gains.mean()) + reach)


def _figures(measured: Mapping[str, float], whose: str) -> dict[str, float]:
    figures = {patient: 0.0 if isnan(value) else float(value) for patient, value in measured.items()}
    wrong = {patient: value for patient, value in figures.items() if not 0 <= value <= 1}
    if wrong:
        raise InputError(f"expected Dice in [0, 1] of the {whose}, got {wrong}")
    return figures


def _patients(count: int) -> str:
    return f"{count} validation patient{'' if count == 1 else 's'}"
