"""Prompts and changes come out of their packing exactly as they went in, and stay small in it."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from tumorseg.errors import InputError
from tumorseg.interactive import packed
from tumorseg.interactive.base import Edit
from tumorseg.interactive.packed import Change, Runs, Unpacked, pack, unpack
from tumorseg.interactive.prompts import Click, Scribble


@pytest.mark.parametrize("seed", range(4))
def test_scribbles_come_back_exactly(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(int(size) for size in rng.integers(1, 9, 3))
    marks = rng.integers(-1, 2, shape).astype(np.int8)
    for each in (marks, np.zeros_like(marks), np.ones_like(marks), np.asfortranarray(marks), marks.astype(np.int16)):
        back = unpack(pack(Scribble(each)))
        assert isinstance(back, Scribble)
        assert back.marks.dtype == np.int8
        assert np.array_equal(back.marks, each)


def test_equal_scribbles_are_equal_and_others_are_not() -> None:
    one, other = np.zeros((2, 3, 4), np.int8), np.zeros((2, 3, 4), np.int8)
    assert pack(Scribble(one)) == pack(Scribble(other))
    assert hash(pack(Scribble(one))) == hash(pack(Scribble(other)))
    other[1, 2, 3] = 1
    assert pack(Scribble(one)) != pack(Scribble(other))
    assert pack(Scribble(one)) != pack(Scribble(np.zeros((4, 3, 2), np.int8)))


@pytest.mark.parametrize("mark", [2, -2, -128])
def test_other_marks_are_refused(mark: int) -> None:
    marks = np.zeros((2, 3, 4), np.int8)
    marks[0, 0, 0] = mark
    with pytest.raises(InputError, match="expected marks of 1"):
        pack(Scribble(marks))


def test_areas_of_noise_and_of_nothing_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "MAX_RUNS", 3)
    marks = np.zeros((1, 1, 4), np.int8)
    marks[..., 1] = 1
    pack(Scribble(marks))
    marks[..., 3] = 1
    with pytest.raises(InputError, match="at most 3 runs, got 4"):
        pack(Scribble(marks))
    with pytest.raises(InputError, match="over some voxels"):
        pack(Scribble(np.zeros((0, 3, 4), np.int8)))


def test_a_scribble_of_an_area_or_of_noise_needs_no_memory_beside_its_image() -> None:
    shape = (16, 256, 256)
    area = Runs(shape, bytes([1]), np.array([1 << 20], "<i8").tobytes())
    noise = Scribble(np.tile(np.array([0, 1], np.int8), (16, 256, 128)))
    tracemalloc.start()
    try:
        back = unpack(area)
        assert tracemalloc.get_traced_memory()[1] < 2 * (1 << 20)
        with pytest.raises(InputError, match="runs, got 1048576"):
            pack(noise)
        assert tracemalloc.get_traced_memory()[1] < 4 * (1 << 20)
    finally:
        tracemalloc.stop()
    assert isinstance(back, Scribble)
    assert (back.marks == 1).all()


def test_unpacked_prompts_are_a_sequence() -> None:
    marks = np.ones((1, 1, 2), np.int8)
    prompts = Unpacked([Click((0, 0, 0)), pack(Scribble(marks)), Click((1, 0, 0), positive=False)])
    assert len(prompts) == 3
    assert prompts[-1] == Click((1, 0, 0), positive=False)
    assert list(prompts[::2]) == [Click((0, 0, 0)), Click((1, 0, 0), positive=False)]
    assert sum(isinstance(prompt, Scribble) for prompt in prompts) == 1


@pytest.mark.parametrize("shape", [(2, 3, 5), (1, 1, 1), (0, 0, 0), (4, 0, 2)])
def test_a_change_leads_there_and_back(shape: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(1)
    mask = rng.random((6, 7, 8)) < 0.5
    edit = Edit((1, 2, 3), rng.random(shape) < 0.5)
    change, after = Change.of(mask, edit), edit.applied(mask)
    assert np.array_equal(change.edit(mask).applied(mask), after)
    assert np.array_equal(change.edit(after).applied(after), mask)


def test_a_change_of_a_whole_volume_is_a_hundredth_of_it() -> None:
    mask = np.zeros((24, 256, 256), bool)
    after = mask.copy()
    after[4:9, 100:140, 90:150] = True
    assert len(Change.of(mask, Edit((0, 0, 0), after)).bits) < mask.nbytes / 100


@pytest.mark.parametrize("origin", [(0, 0, 7), (-1, 0, 0), (6, 0, 0)])
def test_an_edit_outside_of_the_mask_is_refused(origin: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match=r"expected an edit inside of \(6, 7, 8\)"):
        Change.of(np.zeros((6, 7, 8), bool), Edit(origin, np.ones((1, 1, 2), bool)))
