"""What a client that always sends all of its prompts gets, and what it costs."""

from __future__ import annotations

import numpy as np
import pytest

from tests.interactive.balls import Balls
from tests.interactive.test_session import DARK, OUT, A, B, new, strokes
from tumorseg.interactive.packed import pack
from tumorseg.interactive.prompts import Click


def test_following_costs_only_what_is_new() -> None:
    model = Balls()
    session = new(model)
    session.follow([A])
    session.follow([A, B])
    assert model.answers == 2
    session.follow([A, B])
    session.follow([A, B, A, B])
    assert model.answers == 2
    session.follow([A])
    assert session.prompts == (A,)
    session.follow([A, B])
    assert model.answers == 2
    session.follow([])
    assert not session.mask.any()
    assert model.answers == 2


def test_following_keeps_the_order_in_which_prompts_came() -> None:
    session = new()
    for known in ([A], [A, OUT], [A, B, OUT], [A, B, DARK, OUT]):
        session.follow(known)
    assert session.prompts == (A, OUT, B, DARK)


def test_following_answers_anew_what_came_after_a_prompt_that_is_gone() -> None:
    model = Balls()
    session = new(model)
    session.follow([A, OUT, B])
    mask = session.follow([A, B, DARK])
    assert session.prompts == (A, B, DARK)
    assert model.answers == 3 + 2
    assert np.array_equal(mask, new().follow([A, B, DARK]))
    assert [(event.action, event.kind) for event in session.log().events] == [
        ("add", "click+"),
        ("add", "click-"),
        ("add", "click+"),
        ("undo", "click-"),
        ("add", "click+"),
    ]


def test_the_same_place_can_be_in_and_out_but_an_equal_scribble_counts_once() -> None:
    session = new()
    again = Click(A.at, positive=False)
    one, other = strokes((0, 0, 0, 1)), strokes((0, 0, 0, 1))
    session.follow([A, again, one, other])
    assert [pack(prompt) for prompt in session.prompts] == [A, again, pack(one)]
    assert not session.mask[A.at[::-1]]


def test_following_can_be_stopped_and_changes_nothing_then() -> None:
    session = new()
    session.add(A)
    seen = []

    def stop(done: int, wanted: int) -> None:
        seen.append((done, wanted))
        if done:
            raise TimeoutError("it takes too long")

    before, log = session.mask, session.log()
    with pytest.raises(TimeoutError):
        session.follow([A, B, DARK, OUT], progress=stop)
    assert seen == [(0, 3), (1, 3)]
    assert session.mask is before
    assert session.log() == log
