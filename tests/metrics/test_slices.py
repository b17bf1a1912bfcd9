"""Slices without tumour."""

from tests.metrics.masks import pair
from tumorseg.metrics.slices import empty_slices, false_positive_slices


def test_only_marks_on_empty_slices_are_false_positive_slices():
    # Slice 0 has tumour, and a mark beside it; slice 1 is empty and has two marks; slice 2 is empty and stays so.
    ours = pair([(0, 0, 0)], [(0, 2, 2), (1, 0, 0), (1, 2, 2)])
    assert empty_slices(ours) == 2
    assert false_positive_slices(ours) == 1


def test_a_patient_without_tumour_has_only_empty_slices():
    assert empty_slices(pair([], [])) == 3
    assert false_positive_slices(pair([], [])) == 0
    assert false_positive_slices(pair([], [(0, 0, 0), (1, 1, 1), (2, 0, 0)])) == 3


def test_a_patient_with_tumour_everywhere_has_none():
    everywhere = [(k, 0, 0) for k in range(3)]
    assert empty_slices(pair(everywhere, [])) == 0
    assert false_positive_slices(pair(everywhere, [(k, 2, 2) for k in range(3)])) == 0
