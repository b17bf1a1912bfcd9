"""Whose turn it is: a model that takes seconds, and one that takes none."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from tumorseg.adapters.inference.queue import InferenceQueue
from tumorseg.adapters.interactive.turns import WORKERS, Turns
from tumorseg.errors import UnavailableError

SAM2, SCRIBBLES = (SimpleNamespace(name=name, slow=False) for name in ("sam2", "scribbles"))


def test_a_model_that_looks_at_a_slice_for_seconds_holds_up_no_other() -> None:
    async def clicks() -> list[Any]:
        turns, looked = Turns(InferenceQueue(1), "cpu"), threading.Event()
        long = [asyncio.ensure_future(turns.work(SAM2, lambda: looked.wait(60), f"{n}")) for n in range(WORKERS + 1)]
        await asyncio.sleep(0)
        try:
            async with asyncio.timeout(30):
                short = await turns.work(SCRIBBLES, lambda: looked.is_set(), "another")
        finally:
            looked.set()
        done = await asyncio.gather(*long)
        turns.close()
        return [short, *done]

    assert asyncio.run(clicks()) == [False, *[True] * (WORKERS + 1)]


def test_a_server_that_stops_takes_no_work_of_a_model_that_was_never_asked() -> None:
    turns = Turns(InferenceQueue(1), "cpu")
    turns.close()
    with pytest.raises(UnavailableError):
        asyncio.run(turns.work(SCRIBBLES, int, "somebody"))


@pytest.mark.parametrize("where", ["work", "aside"])
def test_who_hangs_up_lets_nobody_else_at_the_mask_while_it_is_changed(where: str) -> None:
    async def hang_up() -> bool:
        turns, began, gate = Turns(InferenceQueue(1), "cpu"), threading.Event(), threading.Event()

        def change() -> bool:
            began.set()
            return gate.wait(60)

        work = turns.work(SCRIBBLES, change, "ann") if where == "work" else turns.aside(change)
        request = asyncio.ensure_future(work)
        try:
            await asyncio.to_thread(began.wait, 60)
            request.cancel()
            await asyncio.wait([request], timeout=0.05)
            early = request.done()
        finally:
            gate.set()
        with pytest.raises(asyncio.CancelledError):
            await request
        turns.close()
        return early

    assert not asyncio.run(hang_up())


def test_who_hangs_up_while_waiting_leaves_the_line_at_once() -> None:
    async def hang_up() -> bool:
        turns, gate = Turns(InferenceQueue(1), "cpu"), threading.Event()
        busy = [asyncio.ensure_future(turns.work(SCRIBBLES, lambda: gate.wait(60), f"{n}")) for n in range(WORKERS)]
        ran = threading.Event()
        request = asyncio.ensure_future(turns.work(SCRIBBLES, ran.set, "ann"))
        await asyncio.sleep(0)
        request.cancel()
        await asyncio.wait([request], timeout=60)
        early = request.cancelled()
        gate.set()
        await asyncio.gather(*busy)
        turns.close()
        return early and not ran.is_set()

    assert asyncio.run(hang_up())
