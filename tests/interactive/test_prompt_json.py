"""Prompts as JSON: what is written reads back, and every wrong thing is named in an error."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from tumorseg.errors import InputError
from tumorseg.interactive.packed import pack
from tumorseg.interactive.prompt_json import index_from_json, packed_from_json, prompt_from_json, prompt_to_json
from tumorseg.interactive.prompts import Box, Click, ExtremePoints, Prompt, Propagate, Scribble

SHAPE = (2, 3, 4)
MARKS = np.zeros(SHAPE, np.int8)
MARKS[0, 1, 1:3] = 1
MARKS[1, 2, 3] = -1


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        (Click((1, 2, 0)), {"click": [1, 2, 0], "positive": True}),
        (Click((1, 2, 0), positive=False), {"click": [1, 2, 0], "positive": False}),
        (Box((0, 1, 0), (3, 2, 1)), {"box": [[0, 1, 0], [3, 2, 1]]}),
        (ExtremePoints(((0, 1, 0), (3, 2, 1))), {"extreme": [[0, 1, 0], [3, 2, 1]]}),
        (Scribble(MARKS), {"scribble": {"runs": [[0, 5], [1, 2], [0, 16], [-1, 1]]}}),
        (Propagate(1), {"propagate": {"slice": 1, "axis": 0, "first": None, "last": None}}),
        (Propagate(2, 2, 0, 3), {"propagate": {"slice": 2, "axis": 2, "first": 0, "last": 3}}),
    ],
)
def test_every_kind_is_written_and_read(prompt: Prompt, said: Any) -> None:
    assert prompt_to_json(prompt) == said
    assert pack(prompt_from_json(json.loads(json.dumps(said)), SHAPE)) == pack(prompt)


def test_what_need_not_be_said() -> None:
    assert prompt_from_json({"click": [1, 2, 0]}, SHAPE) == Click((1, 2, 0))
    assert prompt_from_json({"propagate": {"slice": 1}}, SHAPE) == Propagate(1)


def test_numpy_s_numbers_are_written_as_plain_ones() -> None:
    i, j, k = np.array([1, 2, 0])
    said = prompt_to_json(Click((i, j, k), positive=np.bool_(True)))  # type: ignore[arg-type]
    assert json.loads(json.dumps(said)) == {"click": [1, 2, 0], "positive": True}


def test_a_whole_number_may_have_a_point() -> None:
    assert index_from_json([12.0, 0.0, 3]) == (12, 0, 3)
    assert all(isinstance(number, int) for number in index_from_json([12.0, 0.0, 3]))


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ([12.5, 0, 0], "i of click as a whole number, got 12.5"),
        ([0, float("nan"), 0], "j of click .* got nan"),
        ([0, 0, float("inf")], "k of click .* got inf"),
        ([0, "1", 0], "j of click .* got '1'"),
        ([True, 0, 0], "i of click .* got True"),
        ([None, 0, 0], "i of click .* got None"),
        ([1 << 40, 0, 0], "i of click .* got 1099511627776"),
        ([10**5000, 0, 0], "i of click .* got a number of 16610 bits"),
        ([1e300, 0, 0], r"i of click .* got 1e\+300"),
        ([[1], 0, 0], "i of click .* got a list of 1"),
        ([1, 2], r"click as a voxel index \[i, j, k\] .* got 2 values"),
        ([1, 2, 3, 4], "got 4 values"),
        ({"i": 1}, "got an object with i"),
        ("1,2,3", "got '1,2,3'"),
        (None, "got None"),
    ],
)
def test_a_place_that_is_no_voxel_is_named(place: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        prompt_from_json({"click": place}, SHAPE)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "expected a prompt as an object with one of click, box, .* got None"),
        ([], "got a list of 0"),
        ({}, "got an empty object"),
        ({"klick": [1, 2, 3]}, "got an object with klick"),
        ({"click": [1, 2, 0], "box": []}, "one of click, box"),
        ({"click": [1, 2, 0], "label": "x"}, "nothing beside click in a prompt, got 'label'"),
        ({"box": [[0, 0, 0], [1, 1, 1]], "positive": True}, "nothing beside box"),
        ({"click": [1, 2, 0], "positive": 1}, "positive as true or false, got 1"),
        ({"click": [1, 2, 0], "positive": "true"}, "positive as true or false, got 'true'"),
        ({"box": [[0, 0, 0]]}, "box as a list of 2, got a list of 1"),
        ({"box": {"first": 1}}, "box as a list of 2, got an object"),
        ({"box": [[0, 0, 0], [1.5, 1, 1]]}, "i of a corner of box"),
        ({"box": [[3, 0, 0], [1, 1, 1]]}, "from its smallest to its largest"),
        ({"extreme": [[0, 0, 0]]}, "extreme as a list of 2 to 64, got a list of 1"),
        ({"extreme": [[0, 0, 0]] * 10_000}, "got a list of 10000"),
        ({"extreme": [[0, 0, 0], [0, 0]]}, "an extreme point as a voxel index"),
        ({"scribble": []}, "expected scribble as"),
        ({"scribble": {"runs": [[0, 24]], "shape": [1, 1, 24]}}, "expected scribble as"),
        ({"scribble": {"runs": []}}, "runs of a scribble as a list of 1 to"),
        ({"scribble": {"runs": "0 24"}}, "runs of a scribble as a list"),
        ({"scribble": {"runs": [0, 24]}}, "a run of a scribble as a list of 2, got 0"),
        ({"scribble": {"runs": [[2, 24]]}}, "the mark of a run as 1, 0 or -1, got 2"),
        ({"scribble": {"runs": [[True, 24]]}}, "the mark of a run .* got True"),
        ({"scribble": {"runs": [[None, 24]]}}, "the mark of a run .* got None"),
        ({"scribble": {"runs": [[1, 0], [0, 24]]}}, "the length of a run .* got 0"),
        ({"scribble": {"runs": [[1, -1], [0, 25]]}}, "the length of a run .* got -1"),
        ({"scribble": {"runs": [[1, 24.0]]}}, "the length of a run .* got 24.0"),
        ({"scribble": {"runs": [[1, 23]]}}, r"the 24 voxels of \(2, 3, 4\) \(K, J, I\), got 23"),
        ({"scribble": {"runs": [[1, 25]]}}, "got 25"),
        ({"scribble": {"runs": [[1, 10**12]]}}, "got 1000000000000"),
        ({"scribble": {"runs": [[1, 10**5000]]}}, "got a number of 16610 bits"),
        ({"scribble": {"runs": [[1, 1]] * ((1 << 18) + 1)}}, "got a list of 262145"),
        ({"propagate": 3}, "propagate as an object with slice"),
        ({"propagate": {"axis": 0}}, "propagate as an object with slice"),
        ({"propagate": {"slice": 1, "until": 3}}, "propagate as an object with slice"),
        ({"propagate": {"slice": 1.5}}, "slice of propagate as a whole number, got 1.5"),
        ({"propagate": {"slice": 1, "first": "0"}}, "first of propagate"),
        ({"propagate": {"slice": 1, "axis": 3}}, "0, 1 or 2 as the axis"),
    ],
)
def test_what_is_no_prompt_is_named(value: Any, said: str) -> None:
    with pytest.raises(InputError, match=said) as raised:
        packed_from_json(value, SHAPE)
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize(
    "value", [{"\ud800": 1}, {"click": {"\ud800\n": 1}}, {"click": "\ud800"}, {"click": [1, 1, 1], "\ud800": 1}]
)
def test_a_message_about_half_a_letter_can_be_sent(value: Any) -> None:
    with pytest.raises(InputError) as raised:
        packed_from_json(value, SHAPE)
    assert str(raised.value).isprintable()
    assert "\\ud800" in str(raised.value)


def test_runs_that_are_split_are_the_same_scribble() -> None:
    split = {"scribble": {"runs": [[0, 2], [0, 3], [1, 1], [1, 1], [0, 16], [-1, 1]]}}
    assert packed_from_json(split, SHAPE) == pack(Scribble(MARKS))
