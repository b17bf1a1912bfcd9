"""Drawing pictures for training."""

import numpy as np
import pytest
import torch

from tumorseg.errors import InputError
from tumorseg.geometry import Grid
from tumorseg.io.kaggle_3m import CHANNELS, LABELS, Case
from tumorseg.training.detection.data import Example, PictureSampler, volume_examples
from tumorseg.transforms.augment_picture import PictureAugment
from tumorseg.types import Segmentation, StudyImage


def example(name, objects):
    masks = np.zeros((objects, 64, 64), bool)
    for n in range(objects):
        masks[n, 20:40, 10 + 25 * n : 30 + 25 * n] = True
    return Example(name, np.full((1, 64, 64), 99, np.uint8), masks, np.ones(objects, np.int64))


def sampler(examples, empty, **options):
    rng, torch_rng = np.random.default_rng(0), torch.Generator().manual_seed(0)
    return PictureSampler(examples, 64, empty, PictureAugment(), rng, torch_rng, **options)


def drawn(source, pictures=60):
    return [len(target["labels"]) for _, target in zip(*source.draw(pictures), strict=True)]


def test_the_wanted_part_shows_nothing():
    counts = drawn(sampler([example("a", 2), example("b", 0)], 0.3), 200)
    assert 0.2 < counts.count(0) / 200 < 0.4


def test_without_empty_pictures_every_one_shows_something():
    assert 0 not in drawn(sampler([example("a", 2)], 0.5))


def test_a_second_set_is_drawn_with_its_share():
    counts = drawn(sampler([example("a", 2)], 0.0, also=[example("b", 0)], share=0.5), 200)
    assert 0.4 < counts.count(0) / 200 < 0.6


def test_pictures_without_any_object_teach_nothing():
    with pytest.raises(InputError, match="none of the 1 training pictures"):
        sampler([example("a", 0)], 0.5)


def test_slices_become_pictures_of_every_sequence_and_parts_become_objects():
    mask = np.zeros((2, 32, 32), np.uint8)
    mask[0, 4:12, 4:12] = mask[0, 20:28, 20:28] = 1
    mask[1, 0, 0] = 1  # a slip of the pen
    voxels = np.random.default_rng(0).integers(0, 255, (3, 2, 32, 32)).astype(np.uint8)
    grid = Grid((2, 32, 32), np.eye(4))
    case = Case("p", StudyImage(voxels, grid, CHANNELS), Segmentation(mask, grid, LABELS))
    first, second = volume_examples([case], side=32)
    assert (first.id, second.id) == ("p/0", "p/1")
    assert first.images.shape == (3, 32, 32)
    assert sorted(first.masks.sum((1, 2)).tolist()) == [64, 64]
    assert len(second.masks) == 0
