"""However many ask at once, one answer is computed, and it is never older than the question."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from tumorseg.server.shared import Shared


def test_those_who_ask_at_once_share_one_answer() -> None:
    calls: list[str] = []

    def compute() -> int:
        calls.append(threading.current_thread().name)
        time.sleep(0.05)
        return len(calls)

    async def ask() -> None:
        shared = Shared(compute)
        assert await asyncio.gather(*(shared() for _ in range(50))) == [1] * 50

    asyncio.run(ask())
    assert len(calls) == 1
    assert calls[0] != threading.current_thread().name


def test_who_asks_while_one_is_computed_gets_a_newer_one() -> None:
    state, started, release = ["old"], threading.Event(), threading.Event()

    def compute() -> str:
        seen = state[0]
        started.set()
        release.wait(10)
        return seen

    async def ask() -> None:
        shared = Shared(compute)
        first = asyncio.ensure_future(shared())
        await asyncio.to_thread(started.wait)
        state[0] = "new"
        later = [asyncio.ensure_future(shared()) for _ in range(5)]
        await asyncio.sleep(0)
        release.set()
        assert await first == "old"
        assert await asyncio.gather(*later) == ["new"] * 5

    asyncio.run(ask())


def test_one_that_hangs_up_takes_nothing_away_and_an_error_ends_with_its_askers() -> None:
    fails = [True]

    def compute() -> str:
        time.sleep(0.05)
        if fails[0]:
            raise OSError("disk")
        return "fine"

    async def ask() -> None:
        shared = Shared(compute)
        gone, other = asyncio.ensure_future(shared()), asyncio.ensure_future(shared())
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(OSError, match="disk"):
            await other
        fails[0] = False
        assert await shared() == "fine"

    asyncio.run(ask())
