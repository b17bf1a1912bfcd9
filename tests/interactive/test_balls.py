"""The method that the tests of sessions and servers share keeps the contract itself."""

from __future__ import annotations

import numpy as np

from tests.interactive.balls import CENTRES, Balls, two_balls
from tumorseg.interactive.base import Interactive
from tumorseg.interactive.prompts import Box, Click, ExtremePoints, Scribble


def test_it_keeps_the_protocol() -> None:
    assert isinstance(Balls(), Interactive)
    assert Balls(threshold=1).version != Balls().version


def test_every_kind_of_prompt_is_answered() -> None:
    model, image = Balls(), two_balls()
    seen = model.encode(image)
    nothing = np.zeros(seen.shape, bool)
    k, j, i = CENTRES[0]
    clicked = model.answer(seen, nothing, (), Click((i, j, k))).applied(nothing)
    assert clicked[k, j, i]
    assert not (clicked & ~seen.proposal).any()
    assert not model.answer(seen, clicked, (), Click((i, j, k), positive=False)).applied(clicked)[k, j, i]
    boxed = model.answer(seen, nothing, (), Box((0, 0, 0), (15, 23, 5))).applied(nothing)
    assert np.array_equal(boxed[..., :16], seen.proposal[..., :16])
    assert not boxed[..., 16:].any()
    spanned = model.answer(seen, nothing, (), ExtremePoints(((0, 0, 0), (15, 23, 5)))).applied(nothing)
    assert np.array_equal(spanned, boxed)
    marks = np.zeros(seen.shape, np.int8)
    marks[0, 0, :4] = (1, 1, -1, 0)
    assert np.flatnonzero(model.answer(seen, nothing, (), Scribble(marks)).applied(nothing)).tolist() == [0, 1]
    assert (model.encodings, model.answers) == (1, 5)
