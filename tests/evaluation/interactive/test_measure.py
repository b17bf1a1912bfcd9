"""The loop of person and method, with the small real method of tests/interactive/balls.py."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from tests.interactive.balls import CENTRES, RADIUS, RADIUS_K, SHAPE, Balls, ball, two_balls
from tumorseg.errors import InputError
from tumorseg.evaluation.interactive.measure import evaluate_clicks
from tumorseg.interactive.base import Edit
from tumorseg.interactive.prompts import Box, Click, Scribble
from tumorseg.io.kaggle_3m import Case
from tumorseg.types import Segmentation

IMAGE = two_balls()


def case(name: str, truth: np.ndarray | None) -> Case:
    if truth is None:
        return Case(name, IMAGE, None)
    return Case(name, IMAGE, Segmentation(truth.astype(np.uint8), IMAGE.grid, {"tumor": 1}))


def balls(*numbers: int) -> np.ndarray:
    truth = np.zeros(SHAPE, bool)
    for number in numbers:
        truth |= ball(SHAPE, CENTRES[number], (RADIUS_K, RADIUS, RADIUS))
    return truth


BOTH, FIRST = case("both", balls(0, 1)), case("first", balls(0))
HEALTHY, UNKNOWN = case("healthy", balls()), case("unknown", None)


def test_a_proposal_without_error_needs_no_click() -> None:
    (row,) = evaluate_clicks(Balls(), [BOTH]).rows
    assert [step.dice for step in row.steps] == [1.0]
    assert (row.made, row.dice_after(20), row.clicks_to(0.9)) == ((), 1.0, 0)


def test_from_nothing_each_click_is_answered_on_what_the_last_one_left() -> None:
    (row,) = evaluate_clicks(Balls(), [BOTH], start="nothing").rows
    assert row.steps[0].dice == 0.0
    assert [step.click for step in row.steps[:2]] == [None, Click((8, 8, 2))]
    # The second ball is the larger error then; what the first click marked stays.
    assert row.steps[2].click == Click((24, 14, 3))
    assert row.steps[0].dice < row.steps[1].dice < row.steps[2].dice
    assert row.steps[-1].dice > 0.9
    found = row.steps[1].changed
    assert row.steps[1].dice == pytest.approx(2 * found / (found + balls(0, 1).sum()))
    assert (row.patient, row.slices, row.truth_voxels) == ("both", SHAPE[0], balls(0, 1).sum())


def test_too_much_is_clicked_away_and_the_true_lesion_stays() -> None:
    (row,) = evaluate_clicks(Balls(), [FIRST]).rows
    assert row.made[0].click == Click((24, 14, 3), positive=False)
    assert row.steps[-1].dice == 1.0
    assert all((step.elsewhere, step.harmed) == (1, 0) for step in row.made)


def test_harm_elsewhere_is_seen() -> None:
    @dataclass
    class Careless(Balls):
        """Forgets what lies in the first half of the columns at the first negative click."""

        def answer(self, encoded, mask, before, prompt):
            edit = super().answer(encoded, mask, before, prompt)
            return edit if prompt.positive else Edit((0, 0, 0), np.zeros((SHAPE[0], SHAPE[1], SHAPE[2] // 2), bool))

    (row,) = evaluate_clicks(Careless(), [FIRST], clicks=1).rows
    assert (row.made[0].elsewhere, row.made[0].harmed) == (1, 1)
    assert row.steps[1].dice < row.steps[0].dice


def test_who_gives_up_has_made_so_many_clicks() -> None:
    report = evaluate_clicks(Balls(), [BOTH], start="nothing", clicks=2)
    assert (len(report.rows[0].made), report.limit, report.start) == (2, 2, "nothing")


def test_patients_without_tumour_and_without_truth_are_counted_and_left_out() -> None:
    heard: list[tuple[str, int | None]] = []
    report = evaluate_clicks(
        Balls(),
        [HEALTHY, BOTH, UNKNOWN],
        start="nothing",
        clicks=2,
        watch=lambda one, row: heard.append((one.id, None if row is None else len(row.made))),
    )
    assert (len(report.rows), report.without_tumour, report.without_truth) == (1, 1, 1)
    assert heard == [("healthy", None), ("both", 1), ("both", 2), ("unknown", None)]


def test_an_unsteady_hand_clicks_elsewhere_and_the_same_way_each_time() -> None:
    def clicks(noisy: int) -> list[Click | None]:
        report = evaluate_clicks(Balls(), [BOTH], start="nothing", noisy=noisy)
        return [step.click for step in report.rows[0].made]

    assert clicks(3) == clicks(3)
    assert clicks(3) != clicks(0)


def test_a_model_that_takes_strokes_alone_gets_dabs_at_the_same_places() -> None:
    (row,) = evaluate_clicks(Balls(kinds=(Scribble,)), [BOTH], start="nothing", clicks=2).rows
    assert [step.click for step in row.made] == [Click((8, 8, 2)), Click((24, 14, 3))]
    # That method marks what was drawn and nothing else: a disc of three pixels.
    assert [step.changed for step in row.made] == [29, 29]


def test_a_model_without_a_proposal_begins_with_nothing() -> None:
    @dataclass
    class Silent(Balls):
        """Proposes nothing."""

        def encode(self, image):
            return replace(super().encode(image), proposal=None)

    assert evaluate_clicks(Silent(), [BOTH], clicks=1).rows[0].steps[0].dice == 0.0


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(InputError, match="start of auto, nothing and at least 1 click, got 'some' and 20"):
        evaluate_clicks(Balls(), [BOTH], start="some")
    with pytest.raises(InputError, match="balls takes neither clicks nor scribbles"):
        evaluate_clicks(Balls(kinds=(Box,)), [BOTH])
    with pytest.raises(InputError, match="got 1 without and 1 unannotated"):
        evaluate_clicks(Balls(), [HEALTHY, UNKNOWN])
