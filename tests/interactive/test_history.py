"""What a session remembers is bounded, and it says how much that is."""

from __future__ import annotations

import tracemalloc

import pytest

from tests.interactive.test_session import DARK, A, B, new, strokes
from tumorseg.errors import InputError
from tumorseg.interactive import history
from tumorseg.interactive.prompts import MAX_PROMPTS, Click, ExtremePoints


def test_more_prompts_than_a_mask_may_have_are_refused() -> None:
    session = new()
    clicks = [Click((n % 32, n // 32 % 24, n // 768)) for n in range(MAX_PROMPTS + 1)]
    with pytest.raises(InputError, match="at most 1000 prompts"):
        session.follow(clicks)
    assert session.prompts == ()


def test_the_thousand_and_first_prompt_is_refused_and_the_thousand_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MAX_PROMPTS", 2)
    session = new()
    session.follow([A, B])
    with pytest.raises(InputError, match="one more"):
        session.add(DARK)
    assert session.prompts == (A, B)


@pytest.mark.parametrize(("limit", "value"), [("MAX_RUNS", 4), ("MAX_HISTORY_BYTES", 10)])
def test_a_history_that_is_too_large_is_refused(limit: str, value: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, limit, value)
    session = new()
    session.add(strokes((0, 0, 1, 1)))
    with pytest.raises(InputError, match="save the label and begin again"):
        session.add(strokes((0, 0, 2, 1)))


def test_the_history_is_small_beside_the_masks_that_it_stands_for() -> None:
    session = new()
    alone = session.nbytes
    assert alone == session.mask.nbytes
    for number in range(20):
        session.add(strokes((0, number, 3, 1), (0, number, 4, -1)))
    assert alone < session.nbytes < 20 * alone / 2


def test_a_long_session_says_what_it_holds() -> None:
    """Ten thousand events and a thousand steps are megabytes, and the memory of all masks together is bounded."""
    points = [(i % 32, i % 24, i % 6) for i in range(64)]
    session = new()
    session.add(A)
    tracemalloc.start()
    try:
        before = session.nbytes
        for number in range(20):
            session.add(Click((number % 32, number // 32, 0)))
            session.add(ExtremePoints(tuple((*at[:2], (at[2] + number) % 6) for at in points)))
            session.undo()
            session.redo()
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert held / 2 < session.nbytes - before < 1 << 20
