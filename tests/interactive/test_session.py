"""A session: prompts in and exactly back, at no more cost than what is new, and nothing changed by what fails."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any

import numpy as np
import pytest

from tests.interactive.balls import CENTRES, SHAPE, Balls, Mask, Seen, two_balls
from tumorseg.errors import ConflictError, InputError
from tumorseg.interactive import propagate
from tumorseg.interactive.base import Edit
from tumorseg.interactive.log import mask_sha256, replay
from tumorseg.interactive.prompts import Box, Click, ExtremePoints, Prompt, Propagate, Scribble
from tumorseg.interactive.session import PromptSession

A, B = (Click((i, j, k)) for k, j, i in CENTRES)
OUT = Click((8, 8, 2 + 1), positive=False)
DARK = Click((16, 2, 0))


def new(model: Balls | None = None, start: Mask | None = None, **names: Any) -> PromptSession:
    model = model or Balls()
    seen = model.encode(two_balls())
    begin = np.zeros(seen.shape, bool) if start is None else start
    ticks = count(1_700_000_000)
    named = {"image": "i", "label": "tumor", **names}
    return PromptSession(model, seen, begin, "nothing", clock=lambda: float(next(ticks)), **named)


def strokes(*places: tuple[int, int, int, int]) -> Scribble:
    """Return a scribble of ``(k, j, i, mark)``."""
    marks = np.zeros(SHAPE, np.int8)
    for k, j, i, mark in places:
        marks[k, j, i] = mark
    return Scribble(marks)


def replayed(session: PromptSession, start: Mask | None = None) -> Mask:
    begin = np.zeros(SHAPE, bool) if start is None else start
    return replay(session.log(), session.model, session.encoded, begin)


def test_undo_and_redo_lead_exactly_there_and_back_without_the_model() -> None:
    model = Balls()
    session = new(model)
    prompts = (A, OUT, Box((18, 8, 1), (30, 20, 4)), ExtremePoints(((0, 0, 0), (9, 9, 3))), strokes((0, 0, 0, 1)))
    masks = [session.mask]
    for prompt in prompts:
        session.add(prompt)
        masks.append(session.mask)
    assert len({mask_sha256(mask) for mask in masks}) == len(masks)
    for mask in masks[-2::-1]:
        session.undo()
        assert np.array_equal(session.mask, mask)
    assert session.prompts == ()
    for mask in masks[1:]:
        session.redo()
        assert np.array_equal(session.mask, mask)
    assert model.answers == len(prompts)


def test_every_step_says_what_it_changes() -> None:
    session = new()
    for step in (lambda: session.add(A), lambda: session.add(B), session.undo, session.redo):
        before = session.mask
        edit = step()
        assert np.array_equal(edit.applied(before), session.mask)
        assert not np.array_equal(before, session.mask)


def test_nothing_to_undo_or_redo_is_said() -> None:
    session = new()
    with pytest.raises(ConflictError, match="no prompt to undo"):
        session.undo()
    session.add(A)
    with pytest.raises(ConflictError, match="no prompt to redo"):
        session.redo()
    assert (session.can_undo, session.can_redo) == (True, False)


def test_a_new_prompt_after_undo_drops_what_was_undone() -> None:
    session = new()
    session.add(A)
    session.undo()
    session.add(B)
    with pytest.raises(ConflictError):
        session.redo()
    assert session.prompts == (B,)


def test_a_mask_that_was_handed_out_never_changes() -> None:
    session = new()
    before = session.mask
    session.add(A)
    assert not before.any()
    with pytest.raises(ValueError, match="read-only"):
        session.mask[0, 0, 0] = True


def test_the_start_is_the_session_s_own() -> None:
    start = np.zeros(SHAPE, bool)
    session = new(start=start)
    start[:] = True
    assert not session.mask.any()


@pytest.mark.parametrize("start", [np.zeros((1, 2, 3), bool), np.zeros(SHAPE, np.uint8)])
def test_a_start_that_is_no_mask_of_the_image_is_refused(start: Mask) -> None:
    with pytest.raises(InputError, match=r"expected a mask \(6, 24, 32\)"):
        new(start=start)


def test_a_label_name_of_a_megabyte_is_refused_at_the_beginning() -> None:
    with pytest.raises(InputError, match="expected label as a text"):
        new(label="x" * (1 << 20))


# What must leave everything as it was.


@dataclass
class Broken(Balls):
    """Answers until it shall not, and then as it is told to."""

    wrong: Any = None

    def answer(self, encoded: Seen, mask: Mask, before: Sequence[Prompt], prompt: Prompt) -> Edit:
        if isinstance(self.wrong, Exception):
            raise self.wrong
        return self.wrong or super().answer(encoded, mask, before, prompt)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (MemoryError("no room"), MemoryError),
        (InputError("not this"), InputError),
        (Edit((0, 0, 30), np.ones((1, 1, 3), bool)), ValueError),
        (Edit((-1, 0, 0), np.ones((1, 1, 1), bool)), ValueError),
    ],
)
def test_a_model_that_fails_leaves_the_session_as_it_was(wrong: Any, error: type[Exception]) -> None:
    model = Broken()
    session = new(model)
    session.follow([A, B])
    session.undo()
    before, log = session.mask, session.log()
    model.wrong = wrong
    for attempt in (lambda: session.add(DARK), lambda: session.follow([A, DARK]), lambda: session.follow([DARK])):
        with pytest.raises(error):
            attempt()
        assert session.mask is before
        assert session.log() == log
        assert session.can_redo
    model.wrong = None
    session.redo()
    assert session.prompts == (A, B)


@dataclass
class OnlyClicks(Balls):
    kinds: tuple[type[Any], ...] = (Click,)


def test_a_prompt_that_the_model_or_the_image_does_not_take_is_refused_before_anything_is_done() -> None:
    model = OnlyClicks()
    session = new(model)
    session.add(A)
    for wrong, said in ((Box((0, 0, 0), (1, 1, 1)), "kind click, got box"), (Click((32, 0, 0)), "i in 0..31")):
        for attempt in (partial(session.add, wrong), partial(session.follow, [B, wrong])):
            with pytest.raises(InputError, match=said):
                attempt()
    assert session.prompts == (A,)
    assert model.answers == 1


def test_slices_follow_in_a_session_of_any_model_and_replay_and_undo() -> None:
    start = OnlyClicks().encode(two_balls()).proposal.copy()
    start[[k for k in range(SHAPE[0]) if k != A.at[2]]] = False  # one slice of the ball is marked
    session = new(OnlyClicks(), start)
    session.add(A)
    before = session.mask
    session.add(Propagate(A.at[2], first=A.at[2] - 1, last=A.at[2] + 1))
    assert (session.mask != before).any()
    assert np.array_equal(replayed(session, start), session.mask)
    assert type(session.log()).from_json(session.log().to_json()) == session.log()
    assert session.log().events[-1].kind == "propagate"
    after = session.mask
    session.undo()
    assert np.array_equal(session.mask, before)
    assert np.array_equal(session.follow([A, Propagate(A.at[2], first=A.at[2] - 1, last=A.at[2] + 1)]), after)
    with pytest.raises(InputError, match="the slice 6 lies outside"):
        session.add(Propagate(6))


def test_where_slices_follow_another_way_now_the_replay_says_so_and_blames_no_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start = OnlyClicks().encode(two_balls()).proposal.copy()
    start[[k for k in range(SHAPE[0]) if k != A.at[2]]] = False
    session = new(OnlyClicks(), start)
    session.follow([A, Propagate(A.at[2])])
    then = propagate.version()
    assert [step.method for step in session.log().steps] == ["", then]
    monkeypatch.setattr(propagate, "FEWEST_PIXELS", 1000)
    now = propagate.version()
    assert now != then
    with pytest.raises(ConflictError, match=rf"step 2 of 2 .*: slices followed by {then} then, and by {now} now"):
        replayed(session, start)


def test_threads_of_one_session_wait_for_each_other() -> None:
    model = Balls(pause=0.002)
    session = new(model)
    clicks = [Click((i, j, 2)) for i in range(4, 12) for j in (7, 8)]
    threads = [threading.Thread(target=session.add, args=(click,)) for click in clicks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert set(session.prompts) == set(clicks)
    assert np.array_equal(replayed(session), session.mask)


@dataclass
class Held(Balls):
    """Answers when it is let go."""

    begun: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)

    def answer(self, encoded: Seen, mask: Mask, before: Sequence[Prompt], prompt: Prompt) -> Edit:
        self.begun.set()
        assert self.go.wait(60)
        return super().answer(encoded, mask, before, prompt)


def test_looking_does_not_wait_for_a_model_that_answers() -> None:
    model = Held()
    session = new(model)
    thread = threading.Thread(target=session.add, args=(A,))
    thread.start()
    assert model.begun.wait(60)
    assert (session.prompts, session.log().steps, session.mask.any(), session.can_undo) == ((), (), False, False)
    assert session.nbytes == session.mask.nbytes
    model.go.set()
    thread.join(60)
    assert session.prompts == (A,)


def random_prompt(rng: np.random.Generator) -> Prompt:
    k, j, i = (int(rng.integers(size)) for size in SHAPE)
    kind = rng.integers(10)
    if kind < 7:
        return Click((i, j, k), bool(rng.integers(2)))
    if kind == 7:
        return Box((i // 2, j // 2, k // 2), (i, j, k))
    if kind == 8:
        return ExtremePoints(((i, j, k), (3, 4, 1), (0, 0, 0)))
    return Scribble((rng.random(SHAPE) < 0.01).astype(np.int8) - (rng.random(SHAPE) < 0.01).astype(np.int8))


@pytest.mark.parametrize("seed", range(6))
def test_whatever_is_done_the_log_replays_to_the_mask(seed: int) -> None:
    rng = np.random.default_rng(seed)
    start = rng.random(SHAPE) < 0.1
    session = new(start=start)
    for _ in range(40):
        do = rng.integers(8)
        if do == 0 and session.can_undo:
            session.undo()
        elif do == 1 and session.can_redo:
            session.redo()
        elif do == 2:
            kept = [prompt for prompt in session.prompts if rng.random() < 0.8]
            new_ones = [random_prompt(rng) for _ in range(rng.integers(3))]
            session.follow([*kept, *new_ones])
        else:
            session.add(random_prompt(rng))
        if rng.random() < 0.2:
            assert np.array_equal(replayed(session, start), session.mask)
    assert np.array_equal(replayed(session, start), session.mask)
    assert session.log().sha256 == mask_sha256(session.mask)
    assert type(session.log()).from_json(session.log().to_json()) == session.log()
    while session.can_undo:
        session.undo()
    assert np.array_equal(session.mask, start)
