"""Does the next batch of labels still pay? What was measured of a model's versions, as a forecast and a sentence.

The curve is that of what serves: of a published version its own figure, of a refused one that of the model that went
on serving. Rounds that were refused one after the other measure one and the same model: they are drawn, but are no
further measurements. Validation patients join from time to time, so early points may be of fewer patients than late
ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorseg.active_learning.stopping import FITTED, LEVEL, WORTH, Forecast, forecast

if TYPE_CHECKING:
    from tumorseg.versions.types import VersionCard

#: Measurements through which a curve can be put and not only drawn.
NEEDED = FITTED + 2
#: Labels that come next where nobody says after how many a training starts, and only one training was made.
_BATCH = 10
_POINT = 100.0  # of Dice
_SEED = 0


@dataclass(frozen=True)
class Outlook:
    """What is to be expected of further labels.

    Attributes:
        labels: labelled cases at each measurement, rising.
        scores: mean Dice on the validation patients of what served then.
        batch: how many labels come next.
        measured: how many different versions these are measurements of.
        forecast: what they bring; None with fewer than :data:`NEEDED` of them.
    """

    labels: tuple[float, ...]
    scores: tuple[float, ...]
    batch: int
    measured: int
    forecast: Forecast | None

    @property
    def text(self) -> str:
        """Say it in a sentence."""
        found = self.forecast
        if found is None:
            refused = len(self.labels) - self.measured
            why = f"; {refused} rounds that were refused say nothing about further labels" if refused > 1 else ""
            return f"No forecast yet ({self.measured} of {NEEDED} measurements{why})."
        gain, low, high = (f"{value * _POINT:.1f}".replace("-", "−") for value in (found.gain, found.low, found.high))
        said = (
            f"The next {self.batch} labels are expected to bring {'' if found.gain < 0 else '+'}{gain} "
            f"({low} … {high}, {LEVEL:.0%} interval) points of Dice; "
            f"probability of less than {WORTH * _POINT:g} points: {found.useless:.0%}."
        )
        return f"{said} It is time to stop, or to label what the model has not seen yet." if found.stop else said


def outlook(cards: Iterable[VersionCard], train_after: int = 0) -> Outlook:
    """Look ahead from what was measured.

    Args:
        cards: versions of one model, newest first; uploaded ones were not measured and do not count.
        train_after: labels that start a training; 0 takes as many as came before the last one.
    """
    points: list[_Point] = []
    for card in reversed(list(cards)):
        point = _point(card)
        if point is not None:
            points = [known for known in points if known.labels < point.labels] + [point]
    labels, scores = tuple(p.labels for p in points), tuple(p.score for p in points)
    batch, measured = train_after or _last_step(labels), len({p.version for p in points})
    found = forecast(labels, scores, batch, np.random.default_rng(_SEED)) if measured >= NEEDED else None
    return Outlook(labels, scores, batch, measured, found)


def mean_dice(measured: Mapping[str, Any], whose: str) -> float | None:
    """Return the mean Dice of ``champion`` or ``candidate`` in a card's figures; None where there is none."""
    said = measured.get(whose)
    return number(said.get("mean")) if isinstance(said, Mapping) else None


def number(value: Any) -> float | None:
    """Return a finite number, None for anything else: cards are read from files."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and isfinite(value) else None


@dataclass(frozen=True)
class _Point:
    """What served after a round, and how good it was."""

    labels: float
    score: float
    version: str


def _point(card: VersionCard) -> _Point | None:
    published = card.status == "published"
    served = mean_dice(card.measured, "candidate" if published else "champion")
    labels = number(card.measured.get("labelled_cases"))
    if served is None or labels is None or labels <= 0:
        return None
    return _Point(labels, served, card.id if published else card.parent or "")


def _last_step(labels: Sequence[float]) -> int:
    return max(1, round(labels[-1] - labels[-2])) if len(labels) > 1 else _BATCH
