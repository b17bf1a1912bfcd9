"""A server that is told to stop: it still answers while it finishes what runs and waits, then it goes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import FrameType

import uvicorn


class GracefulServer(uvicorn.Server):
    """uvicorn, which on a signal closes its doors at once, with a time before that in which work is finished.

    Meanwhile it listens on: ``/readyz`` says no, so that a load balancer sends work elsewhere, and a new inference is
    told to come back later. A second signal ends that time.

    Args:
        settings: uvicorn's.
        finish: takes no new work, returns when the old is done or has taken too long.
    """

    def __init__(self, settings: uvicorn.Config, finish: Callable[[], None]) -> None:
        super().__init__(settings)
        self._finish = finish
        self._finishing = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal; its handler must not wait for a lock that the interrupted thread may hold."""
        if self._finishing:
            super().handle_exit(sig, frame)
            return
        self._finishing = True
        threading.Thread(target=self._stop, args=(sig, frame), name="stopping", daemon=True).start()

    def _stop(self, sig: int, frame: FrameType | None) -> None:
        try:
            self._finish()
        finally:
            super().handle_exit(sig, frame)
