"""Effort by version: one case counts once, times add up, and a figure that nobody has is none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tumorseg.labels.effort import Edit
from tumorseg.labels.efforts import Effort
from tumorseg.labels.rounds import by_case, rounds

EDIT = Edit(dice=0.5, changed=10, added=5, removed=5, final=20, path=8, ml=0.2)
SAME = Edit(dice=1.0, changed=0, added=0, removed=0, final=20, path=0, ml=0.0)


def effort(uid: str, image: str, version: str, saved: float, seconds: float | None, edit: Edit | None) -> Effort:
    return Effort(uid, image, "ann", saved, seconds, "answer", "tiny", version, edit)


def test_figures_of_two_versions_by_hand() -> None:
    first, second = rounds(
        [
            effort("a", "one", "v1", 1, 100, EDIT),
            effort("b", "two", "v1", 2, 300, SAME),
            effort("c", "three", "v1", 3, None, EDIT),
            effort("d", "four", "v2", 4, 20, SAME),
        ]
    )
    assert (first.version, first.cases, first.timed, first.seconds) == ("v1", 3, 2, 200)
    assert (first.share, first.path, first.ml) == (0.5, 8, 0.2)
    assert first.unchanged == pytest.approx(1 / 3)
    assert first.dice == pytest.approx(2 / 3)
    assert first.low == 0.5  # eight of 27 resamples hold the first and the third case only
    assert first.high == 1.0
    assert (second.version, second.dice, second.unchanged, second.seconds) == ("v2", 1.0, 1.0, 20)
    assert (second.low, second.high) == (None, None)  # one case says nothing of how sure it is


def test_who_saves_a_case_twice_worked_on_it_once() -> None:
    twice = [effort("a", "one", "v1", 1, 100, EDIT), effort("b", "one", "v1", 2, None, SAME)]
    (joined,) = by_case(twice)
    assert (joined.uid, joined.seconds, joined.edit) == ("b", 100, SAME)
    (joined,) = by_case([twice[0], replace(twice[1], seconds=50)])
    assert joined.seconds == 150
    assert rounds(twice)[0].cases == 1
    assert rounds([twice[0], replace(twice[1], author="bob")])[0].cases == 2


def test_what_began_with_a_label_is_no_case_of_a_round() -> None:
    fresh = effort("a", "one", "v1", 1, 100, EDIT)
    corrected = [
        replace(effort(uid, "one", version, 2, 5, SAME), began="label") for uid, version in (("b", "v1"), ("c", "v2"))
    ]
    assert rounds([fresh, *corrected]) == rounds([fresh])
    assert rounds(corrected) == []


def test_rounds_stand_in_the_order_of_their_first_label() -> None:
    said = [effort("a", "one", "zz", 1, 1, EDIT), effort("b", "two", "aa", 2, 1, EDIT)]
    said.append(effort("c", "one", "zz", 3, 1, EDIT))  # the same case later does not move its round
    assert [found.version for found in rounds(said)] == ["zz", "aa"]


def test_labels_without_a_proposal_have_a_time_and_nothing_else() -> None:
    (found,) = rounds([Effort("a", "one", "ann", 1.0, 60.0)])
    assert (found.model, found.version, found.cases, found.seconds) == ("", "", 1, 60)
    assert (found.dice, found.share, found.unchanged, found.path, found.ml) == (None,) * 5


def test_nothing_labelled_is_no_round() -> None:
    assert rounds([]) == []
