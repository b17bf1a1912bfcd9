"""Scores gathered a few slices at a time are those of the whole case at once."""

from __future__ import annotations

import numpy as np
import pytest

from tumorseg.active_learning.case_scores import CaseScores
from tumorseg.active_learning.scoring import MAPS, case_score
from tumorseg.active_learning.types import FOREGROUND

COLUMNS = (*MAPS, FOREGROUND)
LOOKS = np.random.default_rng(0).random((4, 7, 12, 10)) ** 6  # most of it below what counts as seen


@pytest.mark.parametrize("column", COLUMNS)
def test_parts_add_up_to_the_whole(column: str) -> None:
    scores = CaseScores(COLUMNS)
    for start in (0, 3, 6):
        scores.add(dict.fromkeys(COLUMNS, LOOKS[:, start : start + 3]))
    assert scores.result()[column] == pytest.approx(case_score(column, LOOKS), rel=1e-12)


def test_slices_that_nobody_looked_at_count_as_background() -> None:
    looks = np.concatenate([LOOKS, np.zeros((4, 2, 12, 10))], axis=1)
    scores = CaseScores(COLUMNS)
    scores.add(dict.fromkeys(COLUMNS, LOOKS))
    scores.add_nothing(2 * 12 * 10)
    assert scores.result() == pytest.approx({name: case_score(name, looks) for name in COLUMNS})


def test_nothing_seen_is_nothing_uncertain() -> None:
    assert CaseScores(COLUMNS).result() == dict.fromkeys(sorted(COLUMNS), 0.0)


def test_a_lesion_twice_as_large_does_not_win() -> None:
    small, large = np.zeros((1, 20, 32, 32)), np.zeros((1, 20, 32, 32))
    small[:, 5:10, 5:15, 5:15] = large[:, 5:15, 5:15, 5:25] = 0.4
    results = []
    for looks in (small, large):
        scores = CaseScores(["entropy"])
        scores.add({"entropy": looks})
        results.append(scores.result()["entropy"])
    assert results[0] == pytest.approx(results[1], rel=0.05)
