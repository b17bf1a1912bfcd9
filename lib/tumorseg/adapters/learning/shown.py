"""Who was shown what a moment ago, so that who asks again is shown something else.

Kept in memory: it is advice, and forgotten with the process.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

#: People that are remembered; those who asked longest ago make way.
MOST_PEOPLE = 256


class Shown:
    """The cases that people were given and came back from without a label.

    Args:
        seconds: how long a case is passed over.
        clock: s since any time.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._people: OrderedDict[str, dict[str, float]] = OrderedDict()
        self._lock = threading.Lock()

    def others(self, images: Sequence[str], who: str) -> list[str]:
        """Return the images that were not shown to somebody lately; all of them where all were."""
        since = self._clock() - self._seconds
        with self._lock:
            seen = self._people.get(who, {})
            left = [image for image in images if seen.get(image, since) <= since]
        return left or list(images)

    def show(self, image: str, who: str) -> None:
        """Remember it."""
        now = self._clock()
        with self._lock:
            seen = {known: at for known, at in self._people.pop(who, {}).items() if at > now - self._seconds}
            self._people[who] = {**seen, image: now}
            while len(self._people) > MOST_PEOPLE:
                self._people.popitem(last=False)
