"""Thresholds of a request."""

import pytest

from tumorseg.errors import InputError
from tumorseg.models.detection_options import DetectionOptions


def test_some_are_replaced_and_the_others_stay():
    options = DetectionOptions(score=0.7).with_values(nms=0.4, min_slices=2)
    assert (options.score, options.nms, options.min_slices) == (0.7, 0.4, 2)


@pytest.mark.parametrize(
    "bad",
    [{"score": 1.1}, {"nms": -0.1}, {"link": "high"}, {"min_slices": 0}, {"min_slices": 1.5}, {"max_instances": True}],
)
def test_what_makes_no_sense_is_said_by_name(bad):
    with pytest.raises(InputError, match=next(iter(bad))):
        DetectionOptions().with_values(**bad)


def test_a_score_that_is_no_number_is_said():
    with pytest.raises(InputError, match="score"):
        DetectionOptions(score=float("nan"))


def test_an_unknown_name_lists_the_known():
    with pytest.raises(InputError, match=r"threshold.*score, nms"):
        DetectionOptions().with_values(threshold=1)
