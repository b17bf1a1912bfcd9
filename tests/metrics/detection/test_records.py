"""What can be compared is checked when it is made."""

import numpy as np
import pytest

from tests.metrics.detection.cases import image
from tumorseg.errors import InputError
from tumorseg.metrics.detection.records import Found, ImageResult, Truth, all_labels, as_one_class, true_labels


@pytest.mark.parametrize("box", [(0, 0, 1), (5, 0, 4, 9), (0, 5, 4, 4), (0, 0, np.nan, 1), ((0, 0, 1, 1),)])
def test_what_is_no_box(box):
    with pytest.raises(InputError, match="expected a box"):
        Truth("tumour", box)


@pytest.mark.parametrize("score", [np.nan, np.inf])
def test_what_is_no_score(score):
    with pytest.raises(InputError, match="finite score"):
        Found("tumour", score, (0, 0, 1, 1))


def test_boxes_and_masks_belong_to_the_image():
    with pytest.raises(InputError, match="case 7: expected 6 corners"):
        ImageResult("case 7", None, (Truth("tumour", (0, 0, 1, 1)),), (), (3, 4, 5))
    with pytest.raises(InputError, match=r"case 7: expected each annotated mask as boolean \(4, 5\), got uint8"):
        ImageResult("case 7", None, (Truth("tumour", (0, 0, 1, 1), np.zeros((4, 5), np.uint8)),), (), (4, 5))
    with pytest.raises(InputError, match=r"detected mask .* got bool \(5, 4\)"):
        ImageResult("case 7", None, (), (Found("tumour", 0.5, (0, 0, 1, 1), np.zeros((5, 4), bool)),), (4, 5))


def test_an_image_of_an_unknown_patient_is_a_cluster_of_its_own():
    assert image(name="7", patient="7").cluster != image(name="7").cluster
    assert image(name="7", patient="p").cluster == image(name="8", patient="p").cluster


def test_classes():
    results = [image(truth=[("b", (0, 0, 1, 1))], found=[("c", 0.5, (0, 0, 1, 1))]), image(truth=[("a", (0, 0, 1, 1))])]
    assert true_labels(results) == ["a", "b"]
    assert all_labels(iter(results)) == ["a", "b", "c"]
    one = as_one_class(results)
    assert all_labels(one) == ["lesion"]
    assert one[0].found[0].score == 0.5
    assert all_labels(results) == ["a", "b", "c"]  # the given ones stay as they are
