"""Slows down those who guess: after some failed sign-ins the next ones are not looked at for a while.

Three counts are kept: of a name from an address, of an address, and of a name. The last one waits for seconds only, so
that nobody can keep somebody else out by failing in their name.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from tumorseg.access.errors import ThrottledError

#: A count is forgotten so long after its last failure.
FORGET_S = 3600
_MOST_KEPT = 10_000
#: Which limit, name, place.
_Key = tuple[int, str, str]


@dataclass(frozen=True)
class Limit:
    """How many failures cost nothing, and how long one must wait at most after further ones."""

    free: int
    longest_s: int


#: By name and address, by address, by name.
LIMITS = (Limit(5, 300), Limit(20, 300), Limit(100, 5))


@dataclass
class _Count:
    failures: int
    last: float

    def wait_s(self, limit: Limit) -> int:
        """Seconds after the last failure in which nothing is looked at: 1, 2, 4 …"""
        beyond = self.failures - limit.free
        return 0 if beyond < 0 else min(limit.longest_s, 1 << min(beyond, 16))


class Throttle:
    """Failed sign-ins of the last hour, in this process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counts: OrderedDict[_Key, _Count] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, name: str, address: str) -> None:
        """Count a try as failed until it succeeds: many at once must not all pass before the first one failed.

        Raises:
            ThrottledError: one must wait; the try is not counted.
        """
        now, keys = self._clock(), _keys(name, address)
        with self._lock:
            counts = [self._known(key, now) for key in keys]
            wait = max(count.last + count.wait_s(limit) - now for count, limit in zip(counts, LIMITS, strict=True))
            if wait > 0:
                raise ThrottledError(int(wait) + 1)
            for key, count in zip(keys, counts, strict=True):
                count.failures, count.last = count.failures + 1, now
                self._counts[key] = count
                self._counts.move_to_end(key)
            while len(self._counts) > _MOST_KEPT:
                self._counts.popitem(last=False)

    def succeeded(self, name: str, address: str) -> None:
        """Take a try back that succeeded, and forget the failures of this person from this place."""
        self.take_back(name, address)
        with self._lock:
            self._counts.pop(_keys(name, address)[0], None)

    def take_back(self, name: str, address: str) -> None:
        """Uncount a try of which it never came out whether it was right."""
        with self._lock:
            for key in _keys(name, address):
                if key in self._counts:
                    self._counts[key].failures = max(0, self._counts[key].failures - 1)

    def _known(self, key: _Key, now: float) -> _Count:
        """Return what is counted, a new count where that is nothing or long ago."""
        found = self._counts.get(key)
        return found if found and now <= found.last + FORGET_S else _Count(0, now)


def _keys(name: str, address: str) -> tuple[_Key, _Key, _Key]:
    plain, place = name.lower()[:64], _place(address)
    return (0, plain, place), (1, "", place), (2, plain, "")


def _place(address: str) -> str:
    """Return an address; of IPv6 the network, in which one subscriber has all addresses."""
    try:
        if ipaddress.ip_address(address).version == 6:
            return str(ipaddress.ip_network(f"{address.partition('%')[0]}/64", strict=False))
    except ValueError:
        pass
    return address
