"""The results check themselves when they are made."""

import numpy as np
import pytest

from tumorseg.errors import InputError
from tumorseg.geometry import Grid
from tumorseg.types import Segmentation, StudyImage

GRID = Grid((2, 3, 4), np.eye(4))


def test_an_image_knows_its_channels():
    voxels = np.arange(48).reshape(2, 2, 3, 4)
    image = StudyImage(voxels, GRID, ("T1", "FLAIR"))
    assert np.array_equal(image.channel("FLAIR"), voxels[1])
    assert image.with_notes("a", "b").notes == ("a", "b")
    with pytest.raises(TypeError):
        image.source["path"] = "x"


@pytest.mark.parametrize(
    ("voxels", "channels"),
    [
        (np.zeros((2, 3, 4)), ("T1",)),
        (np.zeros((1, 2, 3, 5)), ("T1",)),
        (np.zeros((1, 2, 3, 4)), ("T1", "FLAIR")),
        (np.zeros((1, 2, 3, 4), complex), ("T1",)),
    ],
)
def test_an_image_that_does_not_fit_is_refused(voxels, channels):
    with pytest.raises(InputError):
        StudyImage(voxels, GRID, channels)


@pytest.mark.parametrize("voxels", [np.zeros((2, 3, 5), np.uint8), np.zeros((2, 3, 4), np.float32)])
def test_a_label_map_that_does_not_fit_is_refused(voxels):
    with pytest.raises(InputError):
        Segmentation(voxels, GRID, {"tumour": 1})


def test_a_probability_has_the_shape_of_its_label_map():
    with pytest.raises(InputError):
        Segmentation(np.zeros((2, 3, 4), np.uint8), GRID, {"tumour": 1}, np.zeros((1, 3, 4)))
