"""One answer for everybody who asks the same at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from anyio import CapacityLimiter, to_thread

T = TypeVar("T")


class Shared(Generic[T]):
    """Computes something in a thread, once for all who asked before it began; who asks later gets a newer one.

    An answer is therefore never older than its question, and however many ask, one thread works on it at a time. That
    thread is not of the server's common pool, which slow routes may use up.

    Args:
        compute: may read files.
    """

    def __init__(self, compute: Callable[[], T]) -> None:
        self._compute = compute
        self._running: asyncio.Task[T] | None = None
        self._next: asyncio.Task[T] | None = None
        self._limiter: CapacityLimiter | None = None

    async def __call__(self) -> T:
        """Return an answer that was begun after this call."""
        if self._next is None:
            self._next = asyncio.ensure_future(self._after(self._running))
        # Who hangs up must not take the answer away from the others.
        return await asyncio.shield(self._next)

    async def _after(self, before: asyncio.Task[T] | None) -> T:
        if before is not None:
            await asyncio.wait({before})
        self._running, self._next = self._next, None
        if self._limiter is None:
            self._limiter = CapacityLimiter(1)
        return await to_thread.run_sync(self._compute, limiter=self._limiter)
