"""What a client that always sends all of its prompts gets, and what it costs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.interactive.balls import Balls
from tests.interactive.test_session import DARK, OUT, A, B, new, strokes
from tumorseg.interactive.packed import pack
from tumorseg.interactive.prompts import Click


def test_following_in_parts_leads_to_the_same_log_as_at_once() -> None:
    points = [Click((8 + n, 8, 2)) for n in range(4)]
    at_once, in_parts = new(), new()
    at_once.follow(points)
    in_parts.follow(points)
    wanted = [*points[1:], Click((24, 14, 3))]
    right = at_once.follow(wanted)
    for _ in range(4):
        found = in_parts.follow(wanted, most=1)
    assert np.array_equal(found, right)
    one, other = at_once.log(), in_parts.log()
    assert [step.sha256 for step in one.steps] == [step.sha256 for step in other.steps]
    said = [(event.action, event.kind) for event in one.events]
    assert said == [(event.action, event.kind) for event in other.events]
    assert said[4:] == [("undo", "click+"), ("add", "click+")], "what is answered anew is nothing that somebody did"


def test_a_following_that_was_left_half_way_goes_on_with_other_prompts() -> None:
    points = [Click((8 + n, 8, 2)) for n in range(4)]
    half, right = new(), new()
    half.follow(points)
    half.follow(points[1:], most=1)
    assert half.prompts == (points[1],)
    assert np.array_equal(half.follow(points[2:]), right.follow(points[2:]))
    assert half.prompts == tuple(points[2:])


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


def test_following_that_fails_half_way_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Balls()
    session = new(model)
    session.add(A)
    right = model.answer

    def fail(*args: Any) -> Any:
        if model.answers == 2:
            raise TimeoutError("it takes too long")
        return right(*args)

    monkeypatch.setattr(model, "answer", fail)
    before, log = session.mask, session.log()
    with pytest.raises(TimeoutError):
        session.follow([A, B, DARK, OUT])
    assert model.answers == 2
    assert session.mask is before
    assert session.log() == log
