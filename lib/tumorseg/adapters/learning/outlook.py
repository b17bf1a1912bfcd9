"""Does the next batch of labels still pay? What was measured of a model's versions, as a forecast and a sentence.

The curve is that of what serves: of a published version its own figure, of a refused one that of the model that went
on serving. Validation patients join from time to time, so early points may be of fewer patients than late ones.
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
        forecast: what they bring; None with fewer than :data:`NEEDED` measurements.
    """

    labels: tuple[float, ...]
    scores: tuple[float, ...]
    batch: int
    forecast: Forecast | None

    @property
    def text(self) -> str:
        """Say it in a sentence."""
        found = self.forecast
        if found is None:
            return f"No forecast yet ({len(self.labels)} of {NEEDED} measurements)."
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
    points: list[tuple[float, float]] = []
    for card in reversed(list(cards)):
        point = _point(card)
        if point is not None:
            points = [known for known in points if known[0] < point[0]] + [point]
    labels, scores = tuple(at for at, _ in points), tuple(score for _, score in points)
    batch = train_after or _last_step(labels)
    return Outlook(labels, scores, batch, forecast(labels, scores, batch, np.random.default_rng(_SEED)))


def mean_dice(measured: Mapping[str, Any], whose: str) -> float | None:
    """Return the mean Dice of ``champion`` or ``candidate`` in a card's figures; None where there is none."""
    said = measured.get(whose)
    return number(said.get("mean")) if isinstance(said, Mapping) else None


def number(value: Any) -> float | None:
    """Return a finite number, None for anything else: cards are read from files."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and isfinite(value) else None


def _point(card: VersionCard) -> tuple[float, float] | None:
    served = mean_dice(card.measured, "candidate" if card.status == "published" else "champion")
    labels = number(card.measured.get("labelled_cases"))
    return None if served is None or labels is None or labels <= 0 else (labels, served)


def _last_step(labels: Sequence[float]) -> int:
    return max(1, round(labels[-1] - labels[-2])) if len(labels) > 1 else _BATCH
