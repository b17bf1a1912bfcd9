"""The steps of a mask that is made by id."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.clicking import FIRST, IMAGE, SECOND, clickable
from tumorseg.adapters.interactive import steps
from tumorseg.adapters.interactive.desk import Opened, Who
from tumorseg.adapters.workplace import Workplace
from tumorseg.interactive.prompts import Click


def test_prompts_of_somebody_who_hung_up_half_way_are_as_if_never_sent(tmp_path: Path) -> None:
    place = Workplace.open(clickable(tmp_path))
    desk, began, gate = place.interactive, threading.Event(), threading.Event()
    wanted = steps.Wanted("balls", "tumor", "nothing", "final", {})
    clicks = [Click((at[0], at[1], at[2])) for at in (FIRST, SECOND)]

    async def scene() -> None:
        opening = lambda: Opened(place.engine.of_source(IMAGE), IMAGE)  # noqa: E731
        entry = await steps.begin(desk, opening, wanted, Who("ann", "ann"))
        model, answers = entry.session.model, [lambda: None, lambda: (began.set(), gate.wait(60))]
        right = model.answer

        def answer(*args: Any) -> Any:
            answers.pop(0)()
            return right(*args)

        model.answer = answer  # type: ignore[method-assign]
        request = asyncio.ensure_future(steps.add(desk, entry, clicks, "ann", {}))
        await asyncio.to_thread(began.wait, 60)
        request.cancel()
        await asyncio.sleep(0)
        gate.set()
        with pytest.raises(asyncio.CancelledError):
            await request
        assert not answers, "the first was answered, and the second too"
        assert not entry.session.prompts
        assert not entry.lock.locked()

    try:
        asyncio.run(scene())
    finally:
        gate.set()
        place.close()
