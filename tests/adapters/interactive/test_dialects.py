"""What viewers send when somebody clicked, and everything that is no click."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tumorseg.adapters.interactive.dialects import MOST_SEGMENTS, UNNAMED, parse
from tumorseg.errors import InputError
from tumorseg.interactive.prompts import Box, Click

ONE, NONE, TWO = ("tumor",), (), ("cyst", "tumor")


def test_slicer_sends_the_segment_and_all_of_its_points() -> None:
    said = {"label": "cyst", "foreground": [[1, 2, 3], [4, 5, 6]], "background": [[7, 8, 9]], "client_id": "x"}
    asked = parse(said, ONE)
    assert asked.segments == {"cyst": (Click((1, 2, 3)), Click((4, 5, 6)), Click((7, 8, 9), positive=False))}
    assert (asked.start, asked.tag, asked.layers) == ("auto", "final", None)


@pytest.mark.parametrize(("labels", "name"), [(ONE, "tumor"), (NONE, UNNAMED), (TWO, UNNAMED)])
def test_ohif_names_no_segment(labels: tuple[str, ...], name: str) -> None:
    assert parse({"foreground": [[1, 2, 3]], "background": []}, labels).segments == {name: (Click((1, 2, 3)),)}


def test_ohif_leaves_foreground_out_where_nothing_was_clicked() -> None:
    assert parse({"background": []}, ONE).segments == {"tumor": ()}


def test_points_under_the_names_of_labels() -> None:
    said = {"tumor": [[1, 1, 1]], "cyst": [[2, 2, 2]], "background": [[3, 3, 3]], "label": "tumor"}
    segments = parse(said, TWO).segments
    no, other = Click((3, 3, 3), positive=False), {"tumor": (2, 2, 2), "cyst": (1, 1, 1)}
    assert segments["tumor"] == (Click((1, 1, 1)), no, Click(other["tumor"], positive=False))
    assert segments["cyst"] == (Click((2, 2, 2)), no, Click(other["cyst"], positive=False))


def test_an_empty_list_for_a_label_of_another_model_says_nothing() -> None:
    said = {"tumor": [[1, 1, 1]], "liver": [], "background": []}
    assert parse(said, ONE).segments == {"tumor": (Click((1, 1, 1)),)}


def test_points_under_an_unknown_name_are_an_unknown_label_where_there_are_labels() -> None:
    with pytest.raises(InputError, match=r"unknown label 'liver'.*tumor"):
        parse({"liver": [[1, 1, 1]]}, ONE)
    assert parse({"liver": [[1, 1, 1]]}, NONE).segments == {"liver": (Click((1, 1, 1)),)}


def test_more_segments_than_a_person_marks_in_one_request_are_refused() -> None:
    said = {f"part {n}": [[n, 1, 1]] for n in range(MOST_SEGMENTS + 1)}
    with pytest.raises(InputError, match="at most 32 segments"):
        parse(said, NONE)
    del said["part 0"]
    assert len(parse(said, NONE).segments) == MOST_SEGMENTS


def test_points_under_the_name_of_a_layer_of_strokes_are_of_no_segment() -> None:
    with pytest.raises(InputError, match="name of a segment"):
        parse({"foreground_scribbles": [[1, 1, 1]]}, NONE)


def test_an_ordinary_unknown_parameter_is_dropped() -> None:
    said = {"foreground": [[1, 1, 1]], "reset_state": True, "device": "cpu", "sizes": [1, 2], "note": "[[1, 2, 3]]"}
    assert parse(said, ONE).segments == {"tumor": (Click((1, 1, 1)),)}


def test_a_box_comes_first_and_its_ends_in_either_order() -> None:
    asked = parse({"foreground": [[1, 1, 1]], "roi": [9, 2, 3, 8, 7, 4]}, ONE)
    assert asked.segments["tumor"] == (Box((2, 3, 4), (9, 8, 7)), Click((1, 1, 1)))
    assert parse({"roi": []}, ONE).segments == {"tumor": ()}


def test_the_same_point_twice_is_one_and_whole_numbers_may_have_a_point() -> None:
    assert parse({"foreground": [[1, 1, 1], [1.0, 1, 1]]}, ONE).segments["tumor"] == (Click((1, 1, 1)),)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"foreground": "[[1, 2, 3]]"}, "list of points"),
        ({"foreground": [1, 2, 3]}, r"\[i, j, k\]"),
        ({"foreground": [[1, 2]]}, "2 values"),
        ({"foreground": [[1, 2, 3.5]]}, r"k of a point of foreground.*3\.5"),
        ({"foreground": [[1, 2, "3"]]}, "whole number"),
        ({"foreground": [[1, 2, True]]}, "whole number"),
        ({"foreground": [[1, 2, None]]}, "whole number"),
        ({"foreground": [[1, 2, math.nan]]}, "whole number"),
        ({"background": [[1, 2, math.inf]]}, "background"),
        ({"foreground": {"0": [1, 2, 3]}}, "list of points"),
        ({"foreground": [[n, 0, 0] for n in range(10_000)]}, "at most 1000 points, got 10000"),
        ({"foreground": [[1, 1, 1]], "background": [[1, 1, 1]]}, "belong to the segment and not"),
        ({"foreground": [[1, 1, 1]], "tumor": [[2, 2, 2]]}, "send one dialect"),
        ({"tumor": "[[1, 2, 3]]"}, "tumor as a list of points"),
        ({"tumor": [[1, 2]]}, "2 values"),
        ({"label": ""}, "printable"),
        ({"label": "x" * 10_000}, "1 to 256"),
        ({"label": "a\x07b"}, "printable"),
        ({"label": 7}, "label as a name"),
        ({"label": "background"}, "choose the segment"),
        ({"label": "a", "selected_label_name": "b"}, "one segment"),
        ({"roi": [1, 2, 3, 4]}, "roi"),
        ({"roi": [1, 2, 3, 4, 5, 6.5]}, "roi"),
        ({"start": "before"}, "auto, nothing, label"),
        ({"start": "label", "tag": "../x"}, "tag"),
        ({"start": "label", "tag": 3}, "tag as a text"),
        ({"label_info": "foreground_scribbles"}, "label_info"),
        ({"label_info": [{"name": "a", "id": 1}, {"name": "b", "id": 1}]}, "twice"),
        ({"label_info": [{"name": "a", "id": 1.5}]}, "whole number"),
        ({"label_info": [{"id": 1}]}, "label_info"),
    ],
)
def test_what_is_no_prompt_is_refused_and_named(said: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse(said, ONE)


def test_a_list_of_choices_means_its_first() -> None:
    assert parse({"start": ["nothing", "auto", "label"]}, ONE).start == "nothing"


def test_the_layers_of_scribbles_by_value() -> None:
    said = {
        "label_info": [{"name": "tumor", "id": 1}, {"name": "foreground_scribbles", "id": 2}, {"name": "x", "idx": 3}],
        "selected_label_name": "tumor",
        "roi": [],
    }
    asked = parse(said, NONE)
    assert asked.layers is not None
    assert dict(asked.layers.names) == {1: "tumor", 2: "foreground_scribbles", 3: "x"}
    assert asked.segments == {"tumor": ()}
