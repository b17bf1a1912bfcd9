"""A pause in long work, in which something short may be done: a click between two slices of somebody else's study.

Who works long calls :func:`pause` now and then, and needs to know of nobody. Whoever has it done says what the pauses
are for; where nobody did, a pause is nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar


def _nothing() -> None:
    """Nobody waits."""


_meanwhile: ContextVar[Callable[[], None]] = ContextVar("meanwhile", default=_nothing)


def pause() -> None:
    """Let something short be done now, in this thread."""
    _meanwhile.get()()


@contextmanager
def pausing_for(do: Callable[[], None]) -> Iterator[None]:
    """Do something in the pauses of what this thread does within the block; what it does has no pauses itself."""

    def once() -> None:
        token = _meanwhile.set(_nothing)
        try:
            do()
        finally:
            _meanwhile.reset(token)

    token = _meanwhile.set(once)
    try:
        yield
    finally:
        _meanwhile.reset(token)
