"""Looking at the plain layout behind a server's requests, so that none of them pays for it."""

from __future__ import annotations

import logging
import threading
import weakref

from tumorseg.errors import StorageError
from tumorseg.labels.copies import LOOK_EVERY_S, Copies

logger = logging.getLogger(__name__)


class Watch:
    """A thread that takes over what other tools put among the labels, until it is stopped or the copies are gone.

    While it runs, lookups of the history do not look themselves.
    """

    def __init__(self, copies: Copies) -> None:
        self._copies = copies
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=_run, args=(weakref.ref(copies), self._stop), name="watch labels", daemon=True
        )

    def start(self) -> None:
        """Begin; the first look takes over all there is, however long that takes."""
        self._copies.is_watched = True
        self._thread.start()

    def stop(self) -> None:
        """Stop after the file that is being taken over."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._copies.is_watched = False


def _run(seen: weakref.ref[Copies], stop: threading.Event) -> None:
    """Look once a second; what cannot be kept now is tried again."""
    while not stop.is_set():
        copies = seen()
        if copies is None:
            return
        try:
            if copies.is_settled:
                copies.look(unasked=True)
            else:
                copies.adopt(stop.is_set)
        except StorageError as error:
            copies.complain(error)
        except Exception:
            logger.exception("looking at %s failed", copies.layout.root)
        del copies
        stop.wait(LOOK_EVERY_S)
