"""A cache that is bounded by what it holds rather than by how many."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable


class ByteCache:
    """Keeps the byte strings that were used last, up to ``limit`` bytes together. Any thread may call."""

    def __init__(self, limit: int) -> None:
        self._limit, self._size = limit, 0
        self._values: OrderedDict[Hashable, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], bytes]) -> bytes:
        """Return what ``make`` returned for ``key``, calling it when that is not known (any more)."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        value = make()
        with self._lock:
            if key not in self._values and len(value) <= self._limit:
                self._values[key] = value
                self._size += len(value)
                while self._size > self._limit:
                    self._size -= len(self._values.popitem(last=False)[1])
        return value
