"""Overlaps, measured by hand."""

import numpy as np
import pytest

from tests.metrics.detection.cases import blob, image
from tumorseg.errors import InputError
from tumorseg.metrics.detection.iou import areas, box_iou, mask_box, mask_iou, overlaps
from tumorseg.metrics.detection.records import Found, ImageResult, Truth


def test_boxes_by_hand():
    a = np.array([[0, 0, 2, 2], [0, 0, 1, 1]], float)
    b = np.array([[1, 1, 3, 3], [0, 0, 2, 2], [2, 0, 4, 2]], float)
    # half-open: boxes that only touch (0-2 and 2-4) share nothing
    assert box_iou(a, b) == pytest.approx(np.array([[1 / 7, 1, 0], [0, 1 / 4, 0]]))


def test_boxes_of_a_volume():
    a = np.array([[0, 0, 0, 2, 2, 2]], float)
    b = np.array([[1, 1, 1, 3, 3, 3], [0, 0, 1, 2, 2, 2]], float)
    assert box_iou(a, b) == pytest.approx(np.array([[1 / 15, 1 / 2]]))


def test_nothing_overlaps_what_has_no_extent():
    flat = np.array([[1, 1, 1, 5]], float)
    assert box_iou(flat, flat).tolist() == [[0.0]]
    assert mask_iou([np.zeros((3, 3), bool)], [np.zeros((3, 3), bool), np.ones((3, 3), bool)]).tolist() == [[0.0, 0.0]]
    assert mask_box(np.zeros((3, 3), bool)) == (slice(0, 0), slice(0, 0))


def test_masks_are_the_same_as_counted_over_the_whole_image():
    rng = np.random.default_rng(0)
    a, b = [blob(rng)[1] for _ in range(6)], [blob(rng)[1] for _ in range(5)]
    whole = [[(x & y).sum() / (x | y).sum() for y in b] for x in a]
    assert mask_iou(a, b) == pytest.approx(np.array(whole))


def test_nothing_with_nothing_has_a_shape():
    empty = image()
    for kind in ("box", "mask"):
        assert overlaps(empty, empty.found, empty.truth, kind).shape == (0, 0)
        assert areas(empty, empty.found, kind).shape == (0,)
    one = image(truth=[(0, 0, 2, 3)])
    assert overlaps(one, one.found, one.truth).shape == (0, 1)
    assert areas(one, one.truth, "box").tolist() == areas(one, one.truth, "mask").tolist() == [6.0]


def test_masks_that_are_missing_are_named():
    result = ImageResult("case 7", None, (Truth("t", (0, 0, 1, 1)),), (Found("t", 0.5, (0, 0, 1, 1)),), (3, 3))
    assert overlaps(result, result.found, result.truth, "box").tolist() == [[1.0]]
    with pytest.raises(InputError, match="case 7: expected a mask for every object, got 1 without"):
        overlaps(result, result.found, result.truth, "mask")
