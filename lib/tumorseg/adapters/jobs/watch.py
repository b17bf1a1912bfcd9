"""The thread beside a job's work: writes the progress, keeps the log small, and leaves when the server is gone."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tumorseg.adapters.jobs.log import Log
    from tumorseg.adapters.jobs.reporter import Reporter

TICK_S = 0.5
#: How long the work may go on after it was told to stop.
GRACE_S = 10.0


class Watch:
    """Runs as long as the block.

    The parent's id is compared, not PR_SET_PDEATHSIG asked for: that signal comes when the *thread* ends that started
    the process.

    Args:
        reporter: of the work.
        log: of the work.
        server: process id of the parent.
    """

    def __init__(self, reporter: Reporter, log: Log, server: int) -> None:
        self._reporter = reporter
        self._log = log
        self._server = server
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="job-watch", daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        orphaned_at: float | None = None
        while not self._over.wait(TICK_S):
            # Nothing may end this thread, lack of memory neither: who else would notice that the server is gone?
            with suppress(Exception):
                self._log.trim()
                self._write()
            if orphaned_at is None and os.getppid() != self._server:
                orphaned_at = time.monotonic()
                self._reporter.stop()
                with suppress(Exception):
                    self._reporter.line("the server is gone: stopping, the next one goes on")
            if orphaned_at is not None and time.monotonic() - orphaned_at > GRACE_S:
                self._leave()

    def _write(self) -> None:
        try:
            self._reporter.flush()
        except OSError as error:
            self._reporter.line(f"cannot write the progress: {error}")

    def _leave(self) -> None:
        """End this process and its children in the middle of whatever they do."""
        try:
            self._reporter.line("still busy; ended")
            self._reporter.finish()
        finally:
            if os.getpgrp() == os.getpid():  # our own group, as the server starts us
                os.killpg(0, signal.SIGKILL)
            os._exit(1)
