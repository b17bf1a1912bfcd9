"""A thread that looks after something once a second, and at once when it is called."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from tumorseg.errors import TumorSegError

logger = logging.getLogger(__name__)
_EVERY_S = 1.0
#: How long closing waits for a look that goes on, s.
_CLOSING_S = 10.0


class Attendant:
    """Calls ``look`` behind the requests until it is closed; what fails is logged once and tried again.

    Args:
        look: may wait for a disk.
        name: of the thread.
    """

    def __init__(self, look: Callable[[], None], name: str) -> None:
        self._look, self._name = look, name
        self._call, self._closed = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._complained = ""

    def start(self) -> None:
        """Begin; a second call does nothing."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()

    def call(self) -> None:
        """Have a look taken now; returns at once, and does nothing where nobody looks."""
        self._call.set()

    def close(self) -> None:
        """End after the look that goes on."""
        self._closed.set()
        self._call.set()
        if self._thread is not None:
            self._thread.join(_CLOSING_S)

    def _run(self) -> None:
        while not self._closed.is_set():
            self._call.clear()
            try:
                self._look()
                self._complained = ""
            except (TumorSegError, OSError) as error:
                self._complain(str(error))
            except Exception as error:
                if repr(error) != self._complained:
                    logger.exception("looking after %s failed", self._name)
                self._complained = repr(error)
            self._call.wait(_EVERY_S)

    def _complain(self, said: str) -> None:
        if said != self._complained:
            logger.warning("%s: %s", self._name, said)
        self._complained = said
