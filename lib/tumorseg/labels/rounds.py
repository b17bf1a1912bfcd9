"""Effort by round: do the proposals of the next version of a model need less correction?

A round is all cases whose proposal came from one version of one model. Who saves a case twice worked on it once: the
last label counts, and the time of all of them. What began when the image had a final label already is no case of a
round: to correct that label takes less than to correct a proposal, and a version that learned from it knows the image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median

import numpy as np

from tumorseg.labels.efforts import Effort
from tumorseg.metrics.bootstrap import bootstrap_interval

_SEED = 0
_RESAMPLES = 2000


@dataclass(frozen=True)
class Round:
    """What the cases of one version cost. A figure is None where no case has it.

    Attributes:
        model: name, ``""``: drawn without a proposal.
        version: what the model said of itself.
        cases: pairs of image and person.
        timed: how many of them have a time.
        seconds: median time.
        share: median of the changed voxels as a part of the final ones.
        path: median added path length, pixels.
        ml: median volume of what was changed.
        unchanged: part of the compared cases whose proposal was taken as it was, in [0, 1].
        dice: mean Dice of proposal and final label.
        low, high: 95 % bootstrap interval of that mean over cases; None with fewer than two.
        first: when the first of them was saved, s since 1970.
    """

    model: str
    version: str
    cases: int
    timed: int
    seconds: float | None
    share: float | None
    path: float | None
    ml: float | None
    unchanged: float | None
    dice: float | None
    low: float | None
    high: float | None
    first: float


def by_case(efforts: Iterable[Effort]) -> list[Effort]:
    """Join what one person saved of one image after one version's proposal: the last edit, the time of all.

    Args:
        efforts: the oldest first.
    """
    joined: dict[tuple[str, str, str, str], Effort] = {}
    for effort in efforts:
        key = (effort.model, effort.model_version, effort.image, effort.author)
        before = joined.get(key)
        joined[key] = effort if before is None else _added(before, effort)
    return list(joined.values())


def rounds(efforts: Iterable[Effort]) -> list[Round]:
    """Sum efforts up by the version that made the proposal, in the order in which the versions were first corrected.

    Args:
        efforts: the oldest first.
    """
    groups: dict[tuple[str, str], list[Effort]] = {}
    firsts: dict[tuple[str, str], float] = {}
    known = [effort for effort in efforts if effort.began != "label"]
    for effort in known:
        firsts.setdefault((effort.model, effort.model_version), effort.saved)
    for effort in by_case(known):
        groups.setdefault((effort.model, effort.model_version), []).append(effort)
    return sorted((_round(key, cases, firsts[key]) for key, cases in groups.items()), key=lambda found: found.first)


def _added(before: Effort, effort: Effort) -> Effort:
    times = [seconds for seconds in (before.seconds, effort.seconds) if seconds is not None]
    return replace(effort, seconds=sum(times) if times else None, edit=effort.edit or before.edit)


def _round(key: tuple[str, str], cases: Sequence[Effort], first: float) -> Round:
    times = [case.seconds for case in cases if case.seconds is not None]
    edits = [case.edit for case in cases if case.edit is not None]
    scores = [edit.dice for edit in edits]
    low, high = (None, None) if len(scores) < 2 else _interval(scores)
    return Round(
        model=key[0],
        version=key[1],
        cases=len(cases),
        timed=len(times),
        seconds=_of(times, median),
        share=_of([edit.share for edit in edits if edit.share is not None], median),
        path=_of([edit.path for edit in edits], median),
        ml=_of([edit.ml for edit in edits if edit.ml is not None], median),
        unchanged=_of([edit.unchanged for edit in edits], fmean),
        dice=_of(scores, fmean),
        low=low,
        high=high,
        first=first,
    )


def _of(values: Sequence[float], statistic: Callable[[Sequence[float]], float]) -> float | None:
    return float(statistic(values)) if values else None


def _interval(values: Sequence[float]) -> tuple[float, float]:
    return bootstrap_interval(values, np.random.default_rng(_SEED), resamples=_RESAMPLES)
