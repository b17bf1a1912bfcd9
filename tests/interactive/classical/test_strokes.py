from __future__ import annotations

import numpy as np
import pytest

from tests.interactive.classical.scenes import SHAPE, Mask, ball, dice, image_of, noisy
from tumorseg.errors import InputError
from tumorseg.interactive.classical import window as window_module
from tumorseg.interactive.classical.model import build_clicks
from tumorseg.interactive.classical.strokes import REACH, STROKE_MARGIN
from tumorseg.interactive.local import STAMP_RADIUS
from tumorseg.interactive.prompts import Click, Scribble

MODEL = build_clicks()
TRUTH, OTHER = ball((4, 30, 30), 12), ball((4, 52, 62), 6)
EMPTY = np.zeros(SHAPE, bool)
ENCODED = MODEL.encode(image_of(noisy(TRUTH | OTHER)))


def strokes(positive: Mask = EMPTY, negative: Mask = EMPTY) -> Scribble:
    return Scribble((positive.astype(np.int8) - negative.astype(np.int8)).astype(np.int8))


def line(k: int, j: int, i0: int, i1: int) -> Mask:
    marked = np.zeros(SHAPE, bool)
    marked[k, j, i0:i1] = True
    return marked


def test_one_click_finds_a_bright_object_in_its_neighbouring_slices_too() -> None:
    found = MODEL.answer(ENCODED, EMPTY, (), Click((30, 30, 4))).applied(EMPTY)
    assert dice(found, TRUTH) > 0.8
    assert not (found & OTHER).any()


def test_a_negative_click_takes_a_false_part_away_and_leaves_the_rest() -> None:
    mask = TRUTH | ball((4, 30, 50), 8)
    found = MODEL.answer(ENCODED, mask, (), Click((52, 30, 4), positive=False)).applied(mask)
    assert (found & ~mask).sum() == 0
    assert dice(found, TRUTH) > max(0.93, dice(mask, TRUTH))


def test_earlier_clicks_hold() -> None:
    first, second = Click((58, 44, 4), positive=False), Click((62, 52, 4))
    found = MODEL.answer(ENCODED, EMPTY, (first,), second).applied(EMPTY)
    assert found[4, 52, 62]
    assert not found[4, 44, 58]


@pytest.mark.parametrize("kind", ["click", "stroke"])
@pytest.mark.parametrize("newest", ["click", "stroke"])
def test_a_hole_that_somebody_asked_for_is_not_filled(kind: str, newest: str) -> None:
    """A dead core that was said not to belong, by a click or by strokes, stays out of the ring that is found."""
    core = ball((4, 30, 36), 6)
    ring = ball((4, 30, 36), 16) & ~core
    encoded = MODEL.encode(image_of(noisy(ring)))
    out = Click((36, 30, 4), positive=False) if kind == "click" else strokes(negative=line(4, 30, 33, 40))
    more = Click((48, 30, 4)) if newest == "click" else strokes(positive=line(4, 30, 46, 50))
    found = MODEL.answer(encoded, EMPTY, (out,), more).applied(EMPTY)
    assert dice(found[4], ring[4]) > 0.85
    assert (found & core)[4].mean() < 0.2 * core[4].mean()


@pytest.mark.parametrize("largest", [10**6, 2000])
def test_strokes_leave_what_was_said_of_voxels_before(monkeypatch: pytest.MonkeyPatch, largest: int) -> None:
    monkeypatch.setattr(window_module, "LARGEST", largest)
    before = (Click((33, 30, 4), positive=False), Click((30, 33, 4)))
    mask = TRUTH & ~line(4, 30, 33, 34)
    both = strokes(line(4, 30, 28, 32), line(4, 35, 28, 32))
    found = MODEL.answer(ENCODED, mask, before, both).applied(mask)
    assert not found[4, 30, 33]
    assert found[4, 33, 30]


@pytest.mark.parametrize("at", [(0, 0, 0), (SHAPE[2] - 1, SHAPE[1] - 1, SHAPE[0] - 1)])
@pytest.mark.parametrize("positive", [True, False])
def test_a_click_in_the_corner_of_the_image_is_what_it_says(at: tuple[int, int, int], positive: bool) -> None:
    mask = np.full(SHAPE, not positive)
    assert MODEL.answer(ENCODED, mask, (), Click(at, positive)).applied(mask)[at[::-1]] == positive


def test_a_click_on_a_constant_image_changes_nothing_beyond_its_reach() -> None:
    shape = (3, 160, 160)
    blank, empty = MODEL.encode(image_of(np.zeros((3, *shape), np.uint8))), np.zeros(shape, bool)
    found = MODEL.answer(blank, empty, (), Click((80, 80, 1))).applied(empty)
    assert found[1, 80, 80]
    assert not (found & ~ball((1, 80, 80), REACH + STAMP_RADIUS + 1, shape)).any()


def test_strokes_of_both_kinds_are_kept_to_the_voxel() -> None:
    """Even strokes that contradict the image, and the mask as it was."""
    marks = strokes(line(4, 30, 26, 34) | line(4, 50, 10, 20), line(4, 10, 20, 40) | line(4, 33, 28, 32))
    for mask in (EMPTY, TRUTH, ~EMPTY):
        found = MODEL.answer(ENCODED, mask, (), marks).applied(mask)
        assert found[marks.marks > 0].all()
        assert not found[marks.marks < 0].any()


def test_strokes_find_the_object() -> None:
    marks = strokes(line(4, 30, 26, 34), line(4, 12, 20, 40) | line(4, 46, 20, 40))
    assert dice(MODEL.answer(ENCODED, EMPTY, (), marks).applied(EMPTY), TRUTH) > 0.85


def test_strokes_of_one_kind_only_add_or_only_take_away() -> None:
    half = TRUTH & (np.arange(SHAPE[2]) < 30)
    added = MODEL.answer(ENCODED, half, (), strokes(positive=line(4, 30, 33, 38))).applied(half)
    assert (added & half == half).all()
    assert dice(added, TRUTH) > dice(half, TRUTH)
    much = TRUTH | ball((4, 30, 50), 8)
    taken = MODEL.answer(ENCODED, much, (), strokes(negative=line(4, 30, 48, 56))).applied(much)
    assert not (taken & ~much).any()
    assert dice(taken, TRUTH) > dice(much, TRUTH)


def test_what_is_far_from_the_strokes_stays() -> None:
    mask = np.zeros(SHAPE, bool)
    mask[:, :, STROKE_MARGIN + 12 :] = (
        np.random.default_rng(0).random((*SHAPE[:2], SHAPE[2] - STROKE_MARGIN - 12)) > 0.5
    )
    found = MODEL.answer(ENCODED, mask, (), strokes(line(4, 30, 4, 10), line(4, 40, 4, 10))).applied(mask)
    assert (found == mask)[:, :, STROKE_MARGIN + 12 :].all()


def test_an_empty_scribble_is_refused() -> None:
    with pytest.raises(InputError, match="at least one marked voxel"):
        MODEL.answer(ENCODED, EMPTY, (), strokes())
