"""Threads that only compute step back behind those that answer.

Only threads that never hold Python's lock are made nicer. One that holds it and is kept from its core by something
more important keeps every other Python thread waiting, the one that answers among them: the opposite of what is wanted.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from contextvars import ContextVar
from typing import TypeVar

#: Added to a thread's nice value.
NICER = 10
_LOWEST = 19
_wanted: ContextVar[bool] = ContextVar("step_back", default=False)
T = TypeVar("T")


def step_back() -> None:
    """Say in a thread of a server that the networks it loads are to compute behind everything else."""
    _wanted.set(True)


def with_nice_threads(make: Callable[[], T]) -> T:
    """Make something that starts threads, which are nicer where the calling thread asked for it.

    Threads inherit what the one that starts them has; so they are started from a short-lived one that is nicer itself.
    """
    if not _wanted.get() or sys.platform != "linux":  # elsewhere a nice value belongs to the whole process
        return make()
    made: Future[T] = Future()

    def run() -> None:
        lower_priority()
        try:
            made.set_result(make())
        except BaseException as error:
            made.set_exception(error)

    threading.Thread(target=run, name="load").start()
    return made.result()


def lower_priority() -> None:
    """Make the calling thread nicer, and every thread that it starts from now on."""
    thread = threading.get_native_id()
    with suppress(OSError):  # a container may forbid it; then everything is as quick as before
        now = os.getpriority(os.PRIO_PROCESS, thread)
        os.setpriority(os.PRIO_PROCESS, thread, min(_LOWEST, now + NICER))
