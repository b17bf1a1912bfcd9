"""How long the rest will take, from how fast it went."""

from __future__ import annotations

import math

#: What was this long ago counts a third of what is now.
MEMORY_S = 60.0


class Pace:
    """A rate that forgets slowly, and what follows from it.

    The first value only sets the start: what an earlier attempt did took no time in this one. Rates are averaged with
    exponentially falling weights, divided by the sum of the weights, so that the first ones count fully (as in Adam,
    Kingma and Ba 2015, section 3).
    """

    def __init__(self) -> None:
        self._last: tuple[float, float] | None = None
        self._rate = 0.0
        self._weight = 0.0

    def update(self, fraction: float, now: float) -> float | None:
        """Take a new value.

        Args:
            fraction: done, in [0, 1].
            now: s, of a clock that only goes forward.

        Returns:
            s to go; None where that is not known.
        """
        if self._last is None or fraction < self._last[0]:  # begun, or begun again
            self._last, self._rate, self._weight = (fraction, now), 0.0, 0.0
            return None
        before, then = self._last
        if now > then and fraction > before:
            kept = math.exp((then - now) / MEMORY_S)
            self._rate = kept * self._rate + (1 - kept) * (fraction - before) / (now - then)
            self._weight = kept * self._weight + (1 - kept)
            self._last = (fraction, now)
        return (1 - fraction) * self._weight / self._rate if self._rate > 0 else None
