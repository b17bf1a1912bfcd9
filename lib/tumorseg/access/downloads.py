"""Lets Slicer's MONAI Label module fetch the image that it was just told to fetch.

The module asks for the next image with its token, and then has Slicer download that image with no token at all. So
the answer to an authenticated "next image" lets the address it went to fetch that one image, once, within a minute.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from tumorseg.access.types import Principal, Role

LASTS_S = 60.0
_MOST_KEPT = 1000
HOW = "download"


class Downloads:
    """Which address may fetch which image, for whom."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._open: OrderedDict[tuple[str, str], tuple[Principal, float]] = OrderedDict()
        self._lock = threading.Lock()

    def allow(self, who: Principal, address: str, image: str) -> None:
        """Let an address fetch an image once; a browser, which has its cookie, needs no such thing."""
        if who.how not in ("token", "oidc"):
            return
        with self._lock:
            self._open.pop((address, image), None)
            self._open[address, image] = (Principal(who.name, Role.VIEWER, HOW), self._clock() + LASTS_S)
            while len(self._open) > _MOST_KEPT:
                self._open.popitem(last=False)

    def take(self, address: str, image: str) -> Principal | None:
        """Return for whom this address may fetch this image now; a second time nobody may."""
        with self._lock:
            found = self._open.pop((address, image), None)
        return found[0] if found and found[1] > self._clock() else None
