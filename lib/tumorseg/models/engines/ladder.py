"""What to do when a GPU has no memory left: less at once, then half precision, then the CPU, and back up later.

The rungs are tried from the top. One that fails costs the slices of one batch, which the next rung does again. A rung
that worked is where the following requests begin for a while; then one rung higher is tried, so that a GPU that was
full of somebody else's work is used again once that is done. Nobody is answered less without being told: the rung is
named with the answer, logged and counted.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch

from tumorseg.models.engines.rung import Rung, rungs

logger = logging.getLogger(__name__)

#: How long a rung is kept before the one above is tried again, s.
STAY_S = 60.0
#: What CUDA's libraries say where they have no error of their own for it.
_NO_MEMORY = re.compile(r"out of memory|ALLOC_FAILED", re.IGNORECASE)

Item = TypeVar("Item")
Result = TypeVar("Result")


class Ladder:
    """Where on the rungs a network stands. For one thread at a time, as its network is.

    Args:
        name: of the network, for the log.
        batch: slices at once on the top rung.
        clock: seconds that only ever grow.
    """

    def __init__(self, name: str, batch: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.rungs = rungs(batch)
        self.falls = 0
        self._name, self._clock = name, clock
        self._place, self._since = 0, clock()

    def walk(
        self, items: Sequence[Item], attempt: Callable[[Sequence[Item], Rung], Result]
    ) -> Iterator[tuple[Sequence[Item], Result, Rung]]:
        """Have all items done, a part at a time, and yield each part with its result and the rung it took.

        Raises:
            torch.OutOfMemoryError: not even the lowest rung has memory enough.
        """
        place, done = self._start(), 0
        while done < len(items):
            rung = self.rungs[place]
            part = items[done : done + rung.batch]
            result: Result
            try:
                result = attempt(part, rung)
            except RuntimeError as error:  # torch.OutOfMemoryError is one
                if place + 1 == len(self.rungs) or not is_out_of_memory(error):
                    raise
                self._say(rung, error)
                failed = True
            else:
                failed = False
            # Behind the except block: until then the error holds every tensor of the attempt.
            if failed:
                _give_back()
                place += 1
                continue
            self._stay(place)
            yield part, result, rung
            done += len(part)

    def _start(self) -> int:
        """Begin where it worked last, one higher after a while."""
        climb = self._place > 0 and self._clock() - self._since >= STAY_S
        return self._place - 1 if climb else self._place

    def _stay(self, place: int) -> None:
        """Remember the rung that worked; time counts from the first time that it did."""
        if place != self._place:
            self._place, self._since = place, self._clock()
        elif self._clock() - self._since >= STAY_S:
            self._since = self._clock()  # the rung above was tried and failed: another while on this one

    def _say(self, rung: Rung, error: Exception) -> None:
        self.falls += 1
        said = str(error).partition("\n")[0]
        logger.warning(
            "%s: no memory for batches of %d (%s): stepping down from %r", self._name, rung.batch, said, rung
        )


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error says that the GPU has no memory left."""
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and _NO_MEMORY.search(str(error)) is not None
    )


def _give_back() -> None:
    """Let others, and the next attempt, have what PyTorch keeps for later."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
