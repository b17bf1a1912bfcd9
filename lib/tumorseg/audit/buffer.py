"""Records that nobody waits for: who looked at what, written a moment later, many in one transaction.

A viewer fetches the 200 slices of a series in 200 requests: of those that one person sends for one image within
:data:`SAME_S` the first is recorded. What cannot be written is tried again and, when it is too much to hold, dropped,
which the log and :attr:`AuditBuffer.lost` say: looking is not refused because a disk is full, changing is.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable

from tumorseg.audit.log import AuditError, AuditLog, Event

logger = logging.getLogger(__name__)

#: Within this time the same person doing the same with the same image is one record, s.
SAME_S = 60.0
_HELD = 10_000
_BATCH = 500
_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 30.0


class AuditBuffer:
    """Hands events to a log from a thread of its own, which starts with the first event."""

    def __init__(self, log: AuditLog, *, held: int = _HELD, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._held = held
        self._clock = clock
        self._events: deque[Event] = deque()
        self._seen: OrderedDict[Hashable, float] = OrderedDict()
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = False
        #: Events that were dropped since the start.
        self.lost = 0

    def add(self, event: Event, *, every: bool = False) -> bool:
        """Take an event, at once and without touching the disk; False where it says nothing new or found no room.

        Args:
            event: what is to be recorded.
            every: record it also where the same was recorded a moment ago.
        """
        with self._wake:
            if not every and self._known(event):
                return False
            if len(self._events) >= self._held:
                if self.lost == 0:
                    logger.error("audit records are being dropped: the log takes none and %d wait", self._held)
                self.lost += 1
                return False
            self._events.append(event)
            if self._thread is None and not self._closing:
                self._thread = threading.Thread(target=self._work, name="audit", daemon=True)
                self._thread.start()
            self._wake.notify()
        return True

    def close(self) -> None:
        """Write what waits, once; what then cannot be written is lost, and said."""
        with self._wake:
            self._closing = True
            self._wake.notify()
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(30)
        with self._wake:
            rest = list(self._events)
            self._events.clear()
        if rest and not self._written(rest):
            self.lost += len(rest)
            logger.error("%d audit records are lost", len(rest))

    def _known(self, event: Event) -> bool:
        """Tell whether the same was recorded a moment ago, and remember it."""
        now = self._clock()
        while self._seen:
            oldest = next(iter(self._seen))
            if now - self._seen[oldest] < SAME_S and len(self._seen) <= _HELD:
                break
            del self._seen[oldest]
        key = (event.who, event.how, event.action, event.image, event.study, event.label, event.status, event.address)
        if key in self._seen:
            return True
        self._seen[key] = now
        return False

    def _work(self) -> None:
        """Write what comes, a batch at a time, with longer pauses while it cannot be written."""
        pause = _PAUSE_S
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._events or self._closing)
                if self._closing:
                    return
                self._wake.wait_for(lambda: self._closing, timeout=pause)  # a moment, so that many come together
                batch = [self._events.popleft() for _ in range(min(_BATCH, len(self._events)))]
            if self._written(batch):
                pause = _PAUSE_S
            else:
                pause = min(2 * pause, _LONGEST_PAUSE_S)
                with self._wake:
                    self._events.extendleft(reversed(batch))

    def _written(self, batch: list[Event]) -> bool:
        try:
            self._log.append(batch)
        except AuditError:  # the log has said so already
            return False
        return True
