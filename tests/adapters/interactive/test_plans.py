"""Whether a request goes on with the mask that is kept, or is about another one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.interactive.balls import Balls, two_balls
from tumorseg.adapters.grids import ImagePlace
from tumorseg.adapters.interactive.dialects import Asked
from tumorseg.adapters.interactive.layers import Drawn
from tumorseg.adapters.interactive.looks import Look
from tumorseg.adapters.interactive.plans import begins_anew
from tumorseg.adapters.interactive.records import packed
from tumorseg.adapters.interactive.sessions import Entry
from tumorseg.interactive.prompts import Click, Scribble
from tumorseg.interactive.session import PromptSession

IMAGE, MODEL = two_balls(), Balls()
ASKED = Asked({"tumor": ()})
FIRST, SECOND = (8, 8, 2), (24, 14, 3)


def stroke(*places: tuple[int, int, int]) -> Scribble:
    marks = np.zeros(IMAGE.grid.shape, np.int8)
    for i, j, k in places:
        marks[k, j, i] = 1
    return Scribble(marks)


def entry_of(start: Any, name: str, *prompts: Any) -> Entry:
    look = Look("key", "x", MODEL.encode(IMAGE), ImagePlace(IMAGE.grid, True), ())
    session = PromptSession(MODEL, look.encoded, start, name, image="case", label="tumor")
    for prompt in prompts:
        session.add(prompt)
    return Entry("ann", "case", "tumor", look, session, packed(start) if name == "shown" else None)


def anew(entry: Entry, shown: Any, scribble: Scribble) -> bool:
    return begins_anew(entry, ASKED, (scribble,), Drawn(scribble, shown), lambda: pytest.fail("no label was asked for"))


def test_what_a_stroke_hides_in_a_label_map_is_no_change_by_hand() -> None:
    drawn = stroke(FIRST)
    entry = entry_of(np.zeros(IMAGE.grid.shape, bool), "nothing", Click(FIRST), drawn)
    shown = entry.session.mask & (drawn.marks == 0)
    assert shown.any()
    assert not anew(entry, shown, drawn)
    shown[0, 0, 0] = True
    assert anew(entry, shown, drawn)


def test_strokes_after_a_clearing_go_onto_what_is_shown_and_those_drawn_on_replace_the_ones_before() -> None:
    entry = entry_of(np.zeros(IMAGE.grid.shape, bool), "nothing", Click(FIRST), stroke(SECOND))
    assert not anew(entry, entry.session.mask & (stroke(SECOND, (1, 1, 1)).marks == 0), stroke(SECOND, (1, 1, 1)))
    assert anew(entry, entry.session.mask, stroke((1, 1, 1)))


def test_a_viewer_that_still_shows_the_start_goes_on() -> None:
    start = IMAGE.voxels[0] >= 500
    entry = entry_of(start, "shown", stroke((1, 1, 1)))
    assert not anew(entry, start & (stroke(FIRST).marks == 0), stroke(FIRST))
    assert anew(entry, np.zeros_like(start), stroke(FIRST)), "it was cleared by hand"
