"""A line in which nobody waits for all that another one asked before: callers take turns."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class FairLine(Generic[T]):
    """First come, first served for each caller; round robin between callers. Not safe for several threads alone."""

    def __init__(self) -> None:
        self._lines: OrderedDict[str, deque[T]] = OrderedDict()

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    def __iter__(self) -> Iterator[T]:
        """Yield what waits in the order in which it would be taken."""
        lines = [list(line) for line in self._lines.values()]
        for turn in range(max(map(len, lines), default=0)):
            yield from (line[turn] for line in lines if turn < len(line))

    def of(self, caller: str) -> int:
        """Return how much of a caller's waits."""
        return len(self._lines.get(caller, ()))

    def add(self, caller: str, item: T) -> None:
        """Let an item of a caller wait."""
        self._lines.setdefault(caller, deque()).append(item)

    def take(self) -> T:
        """Take the next item; its caller's others then wait until every other caller had a turn."""
        caller, line = next(iter(self._lines.items()))
        item = line.popleft()
        if line:
            self._lines.move_to_end(caller)
        else:
            del self._lines[caller]
        return item

    def remove(self, item: T) -> bool:
        """Take one item out of turn; False where it does not wait here."""
        for caller, line in self._lines.items():
            if item in line:
                line.remove(item)
                if not line:
                    del self._lines[caller]
                return True
        return False
