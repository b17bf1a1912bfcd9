"""Threads that compute step back behind those that answer."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress

#: Added to a thread's nice value: enough that a thread that only passes bytes is never kept waiting.
NICER = 10
_LOWEST = 19


def lower_priority() -> None:
    """Make the calling thread nicer, and every thread that it starts from now on.

    OpenVINO and PyTorch start their own threads from the one that loads the network: called before that, this holds
    for them too. On Linux a nice value belongs to a thread; elsewhere to the whole process, so nothing is done there.
    """
    if sys.platform != "linux":
        return
    thread = threading.get_native_id()
    with suppress(OSError):  # a container may forbid it; then everything is as quick as before
        now = os.getpriority(os.PRIO_PROCESS, thread)
        os.setpriority(os.PRIO_PROCESS, thread, min(_LOWEST, now + NICER))
