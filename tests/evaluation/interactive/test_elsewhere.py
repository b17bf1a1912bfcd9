"""Harm where nobody clicked, on masks small enough to count by hand."""

from __future__ import annotations

import numpy as np

from tumorseg.evaluation.interactive.elsewhere import harm_elsewhere, lesions_of
from tumorseg.interactive.prompts import Click

SHAPE = (2, 6, 20)


def row(*spans: tuple[int, int], j: int = 2) -> np.ndarray:
    """Mark columns ``[a, b)`` of one row of slice 0."""
    mask = np.zeros(SHAPE, bool)
    for a, b in spans:
        mask[0, j, a:b] = True
    return mask


#: Three lesions: columns 1..3, 8..10 and 15..17.
TRUTH = row((1, 4), (8, 11), (15, 18))
LESIONS = lesions_of(TRUTH)
NEGATIVE = {"positive": False}


def test_what_a_negative_click_takes_from_another_lesion_is_harm() -> None:
    before = row((1, 4), (8, 10), (12, 14))
    click = Click((12, 2, 0), **NEGATIVE)  # on a false mark that touches nothing
    # Two lesions were marked; one loses a voxel of two.
    assert harm_elsewhere(LESIONS, before, row((1, 4), (8, 9)), click) == (2, 1)
    assert harm_elsewhere(LESIONS, before, row((1, 4), (8, 10)), click) == (2, 0)


def test_false_marks_that_go_are_no_harm() -> None:
    before = row((1, 6), (8, 11))
    assert harm_elsewhere(LESIONS, before, row((1, 4), (8, 11)), Click((9, 2, 0))) == (1, 0)


def test_the_lesion_that_was_clicked_is_not_elsewhere() -> None:
    before = row((1, 4), (8, 10))
    click = Click((10, 2, 0))  # positive, on the missing part of the second lesion
    assert harm_elsewhere(LESIONS, before, row((1, 4)), click) == (1, 0)


def test_a_lesion_that_is_joined_to_the_click_by_marks_is_not_elsewhere() -> None:
    bridge = row((1, 11), (15, 18))
    click = Click((6, 2, 0), **NEGATIVE)  # on the bridge between the first two
    assert harm_elsewhere(LESIONS, bridge, row((15, 18)), click) == (1, 0)
    assert harm_elsewhere(LESIONS, bridge, row((1, 11)), click) == (1, 1)


def test_a_lesion_that_nobody_had_found_cannot_be_harmed() -> None:
    assert harm_elsewhere(LESIONS, row((12, 14)), row(), Click((12, 2, 0), **NEGATIVE)) == (0, 0)
