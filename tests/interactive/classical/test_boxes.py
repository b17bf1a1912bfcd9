from __future__ import annotations

import numpy as np
import pytest

from tests.interactive.classical.scenes import SHAPE, ball, dice, image_of, noisy
from tumorseg.interactive.classical import window as window_module
from tumorseg.interactive.classical.model import build_clicks
from tumorseg.interactive.prompts import Box, Click, ExtremePoints, Scribble

MODEL = build_clicks()
TRUTH = ball((4, 30, 36), 14)
EMPTY = np.zeros(SHAPE, bool)
ENCODED = MODEL.encode(image_of(noisy(TRUTH)))


def around(mask: np.ndarray, margin: int = 0) -> Box:
    hit = np.nonzero(mask)[::-1]
    first, last = ([int(end(axis)) for axis in hit] for end in (np.min, np.max))
    return Box(
        (max(first[0] - margin, 0), max(first[1] - margin, 0), first[2]), (last[0] + margin, last[1] + margin, last[2])
    )


def test_a_box_of_several_slices_finds_the_object_in_it() -> None:
    assert dice(MODEL.answer(ENCODED, EMPTY, (), around(TRUTH)).applied(EMPTY), TRUTH) > 0.93


def test_a_box_drawn_too_wide_still_finds_it() -> None:
    assert dice(MODEL.answer(ENCODED, EMPTY, (), around(TRUTH, 5)).applied(EMPTY), TRUTH) > 0.9


def test_a_flat_box_works_on_its_slice_alone() -> None:
    only = np.zeros_like(TRUTH)
    only[4] = TRUTH[4]
    found = MODEL.answer(ENCODED, EMPTY, (), around(only)).applied(EMPTY)
    assert dice(found, only) > 0.93
    assert not found[np.arange(SHAPE[0]) != 4].any()


def test_a_box_adds_an_object_and_changes_nothing_outside() -> None:
    mask = ball((4, 12, 60), 6) | ball((4, 30, 36), 4)
    box = around(TRUTH)
    found = MODEL.answer(ENCODED, mask, (), box).applied(mask)
    assert (found & mask == mask).all()
    outside = np.ones(SHAPE, bool)
    outside[box.region] = False
    assert (found == mask)[outside].all()
    assert dice(found[box.region], TRUTH[box.region]) > 0.9


def test_extreme_points_belong_to_the_object_whatever_the_image_says() -> None:
    points = ((22, 30, 4), (50, 31, 4), (36, 16, 4), (35, 44, 4))
    blank = MODEL.encode(image_of(np.zeros((1, *SHAPE), np.float32)))
    for encoded in (ENCODED, blank):
        found = MODEL.answer(encoded, EMPTY, (), ExtremePoints(points)).applied(EMPTY)
        assert all(found[at[::-1]] for at in points)
    assert dice(MODEL.answer(ENCODED, EMPTY, (), ExtremePoints(points)).applied(EMPTY)[4], TRUTH[4]) > 0.93


@pytest.mark.parametrize("largest", [10**6, 3000])
def test_what_was_said_of_voxels_in_a_box_before_holds(monkeypatch: pytest.MonkeyPatch, largest: int) -> None:
    """A viewer may send its box after its points: none of them may be lost to it."""
    monkeypatch.setattr(window_module, "LARGEST", largest)
    strokes = np.zeros(SHAPE, np.int8)
    strokes[4, 36:39, 30:36] = -1
    before = (Click((36, 28, 4), positive=False), Scribble(strokes))
    found = MODEL.answer(ENCODED, EMPTY, before, around(TRUTH)).applied(EMPTY)
    assert not found[4, 28, 36]
    assert not found[strokes < 0].any()
    assert dice(found, TRUTH) > 0.75


@pytest.mark.parametrize("at", [(0, 0, 0), (71, 63, 8), (36, 30, 4)])
def test_a_box_of_one_voxel_is_that_voxel(at: tuple[int, int, int]) -> None:
    found = MODEL.answer(ENCODED, EMPTY, (), Box(at, at)).applied(EMPTY)
    assert np.argwhere(found).tolist() == [list(at[::-1])]


def test_a_box_on_a_constant_image_is_an_ellipsoid() -> None:
    """Somebody sees something there: an empty answer would be no answer."""
    blank = MODEL.encode(image_of(np.full((1, *SHAPE), 5, np.uint16)))
    box = Box((10, 10, 2), (49, 39, 6))
    found = MODEL.answer(blank, EMPTY, (), box).applied(EMPTY)
    assert 0.3 < found[box.region].mean() < 0.9
    assert not found[2:7, 10, 10].any()


@pytest.mark.parametrize("largest", [10**6, 3000])
def test_a_box_of_the_whole_volume_has_no_background_around_it(monkeypatch: pytest.MonkeyPatch, largest: int) -> None:
    """The second is looked at in steps of several voxels."""
    monkeypatch.setattr(window_module, "LARGEST", largest)
    box = Box((0, 0, 0), (SHAPE[2] - 1, SHAPE[1] - 1, SHAPE[0] - 1))
    found = MODEL.answer(ENCODED, EMPTY, (), box).applied(EMPTY)
    assert dice(found, TRUTH) > 0.75
