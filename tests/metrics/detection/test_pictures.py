"""A picture as a whole."""

from math import isnan

import numpy as np
import pytest

from tests.metrics.detection.cases import image
from tumorseg.errors import InputError
from tumorseg.metrics.detection.pictures import picture_dice, silent, specificity, union
from tumorseg.metrics.detection.records import ImageResult, Truth

HERE, THERE = (10, 10, 30, 30), (60, 60, 80, 80)
HALF_HERE = (10, 10, 30, 20)


def test_dice_of_all_masks_together():
    pictures = [
        image([HERE], [(0.9, HERE)]),
        image([HERE], [(0.9, HALF_HERE), (0.8, HALF_HERE)]),  # a pixel counts once
        image([HERE, THERE], [(0.9, HERE)]),
        image([HERE], [(0.1, HERE)]),
        image([], [(0.9, HERE)]),
        image(),
    ]
    ours = picture_dice(pictures, 0.5)
    assert ours[:4] == pytest.approx([1.0, 2 * 200 / 600, 2 * 400 / 1200, 0.0])
    assert np.isnan(ours[4:]).all()


def test_a_class_does_not_matter():
    assert picture_dice([image([("benign", HERE)], [("malignant", 0.9, HERE)])], 0.5).tolist() == [1.0]


def test_silence_on_pictures_without_lesion():
    pictures = [image([HERE]), image(), image([], [(0.4, HERE)]), image([], [(0.9, HERE), (0.8, THERE)])]
    assert silent(pictures, 0.5) == pytest.approx([np.nan, 1, 1, 0], nan_ok=True)
    assert specificity(pictures, 0.5) == pytest.approx(2 / 3)
    assert specificity(pictures, 0.3) == pytest.approx(1 / 3)
    assert isnan(specificity(pictures[:1], 0.5))
    assert isnan(specificity([], 0.5))


def test_a_picture_is_a_volume_of_one_slice():
    pair = union(image([HERE], [(0.9, HALF_HERE)]), 0.5)
    assert pair.truth.shape == (1, 100, 100)
    assert (pair.true, pair.marked, pair.both) == (400, 200, 200)


def test_without_masks_there_is_no_dice():
    with pytest.raises(InputError, match="case 7: expected a mask"):
        picture_dice([ImageResult("case 7", None, (Truth("tumour", HERE),), (), (100, 100))], 0.5)
