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
