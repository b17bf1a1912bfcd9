"""What was made once, kept in memory up to a number of bytes, and made once for all who ask at the same time."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

V = TypeVar("V")


class MemoryCache(Generic[V]):
    """The values used last, up to a number of bytes; safe to use from several threads.

    Whoever asks first for a key makes its value, in their own thread and outside of the lock; who asks for the same key
    meanwhile waits for that. An error of the maker goes to all of them and nothing is kept, so that the next one tries
    again. A maker that ends in any other way (the program is leaving, a thread is stopped) leaves the making to one of
    those who wait.

    Args:
        max_bytes: what was used longest ago goes until the rest fits; a value larger than this is not kept at all.
        weigh: tells the bytes of a value; asked anew each time, as some values grow while they are used.
    """

    def __init__(self, max_bytes: int, weigh: Callable[[V], int]) -> None:
        self._limit = max_bytes
        self._weigh = weigh
        self._kept: OrderedDict[Hashable, V] = OrderedDict()
        self._making: dict[Hashable, _Making[V]] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], V]) -> V:
        """Return the value of a key, from memory where it is there.

        Raises:
            RuntimeError: ``make`` asks for the key that it makes.
            Exception: what ``make`` raised, here or in the thread that was first.
        """
        while True:
            with self._lock:
                if key in self._kept:
                    self._kept.move_to_end(key)
                    return self._kept[key]
                making = self._making.get(key)
                if making is None:
                    mine = self._making[key] = _Making()
                    break
            if making.thread == threading.get_ident():
                raise RuntimeError(f"what makes {key!r} asks for it: it would wait for itself")
            if making.done.result():
                return making.value()
        return self._make(key, make, mine)

    def peek(self, key: Hashable) -> V | None:
        """Return the value of a key where it is kept, without making it; that counts as a use."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def drop(self, key: Hashable) -> None:
        """Forget a key; what is being made for it reaches those who wait for it, and is not kept."""
        with self._lock:
            self._kept.pop(key, None)
            self._making.pop(key, None)

    def size(self) -> int:
        """Return the bytes of what is kept."""
        with self._lock:
            return self._size()

    def _make(self, key: Hashable, make: Callable[[], V], making: _Making[V]) -> V:
        try:
            making.made.append(make())
            self._keep(key, making)
        except Exception as error:
            making.error = error
            raise
        finally:
            with self._lock:
                if self._making.get(key) is making:
                    del self._making[key]
            making.done.set_result(bool(making.made) or making.error is not None)
        return making.value()

    def _keep(self, key: Hashable, making: _Making[V]) -> None:
        """Keep a value where that is still wanted; a value that does not fit must not push out the others."""
        with self._lock:
            value = making.made[0]
            if self._making.get(key) is not making or self._weigh(value) > self._limit:
                return
            self._kept[key] = value
            while self._size() > self._limit:
                self._kept.popitem(last=False)

    def _size(self) -> int:
        return sum(map(self._weigh, self._kept.values()))


class _Making(Generic[V]):
    """A value that a thread is making.

    Attributes:
        thread: who makes it.
        done: set when that ended; False where it gave neither a value nor an error and somebody else should try.
    """

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.done: Future[bool] = Future()
        self.made: list[V] = []
        self.error: Exception | None = None

    def value(self) -> V:
        """Return what was made, or raise what went wrong."""
        if self.error is not None:
            raise self.error
        return self.made[0]
