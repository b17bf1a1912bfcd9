"""Augmentation moves image and mask together, and is reproducible."""

from dataclasses import fields

import torch

from tumorseg.transforms.augment import AugmentConfig, augment

STILL = AugmentConfig(**{field.name: 0.0 for field in fields(AugmentConfig)})


def batch(channels=9, side=64):
    images = torch.zeros(4, channels, side, side)
    masks = torch.zeros(4, 1, side, side)
    images[:, :, 10:30, 20:50] = 2.0
    masks[:, :, 10:30, 20:50] = 1.0
    return images, masks


def test_the_same_seed_gives_the_same_batch():
    first, second = (augment(*batch(), 48, 1.0, AugmentConfig(), torch.Generator().manual_seed(3)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    other = augment(*batch(), 48, 1.0, AugmentConfig(), torch.Generator().manual_seed(4))
    assert not torch.equal(first[0], other[0])


def test_without_change_it_is_the_image_or_its_mirror():
    images, masks = batch()
    out, truth = augment(images, masks, 64, 1.0, STILL, torch.Generator().manual_seed(0))
    for picture, mask in zip(out, truth, strict=True):
        mirrored = torch.allclose(picture, images[0].flip(-1), atol=1e-4)
        assert mirrored or torch.allclose(picture, images[0], atol=1e-4)
        assert torch.allclose(mask, masks[0].flip(-1) if mirrored else masks[0], atol=1e-4)


def test_the_mask_stays_on_the_tumour():
    images, masks = batch()
    config = AugmentConfig(noise=0, blur_probability=0, brightness=0, contrast=0, gamma=0)
    for zoom, size in ((1.0, 64), (0.5, 32)):
        out, truth = augment(images, masks, size, zoom, config, torch.Generator().manual_seed(1))
        assert torch.allclose(out[:, :1] / 2, truth, atol=1e-4)
        assert truth.sum() > 0


def test_a_dropped_sequence_becomes_flair_and_a_dropped_neighbour_the_middle_slice():
    images = torch.arange(9.0).reshape(1, 9, 1, 1).expand(1, 9, 32, 32).clone() / 9
    masks = torch.zeros(1, 1, 32, 32)
    config = AugmentConfig(**{f.name: 0.0 for f in fields(AugmentConfig)} | {"missing_probability": 1.0})
    out, _ = augment(images, masks, 32, 1.0, config, torch.Generator().manual_seed(0))
    assert torch.allclose(out[0, :, 5, 5], torch.tensor([1, 1, 1, 4, 4, 4, 7, 7, 7]) / 9, atol=1e-4)
    config = AugmentConfig(**{f.name: 0.0 for f in fields(AugmentConfig)} | {"neighbour_probability": 1.0})
    out, _ = augment(images, masks, 32, 1.0, config, torch.Generator().manual_seed(0))
    assert torch.allclose(out[0, :, 5, 5], torch.tensor([3, 4, 5, 3, 4, 5, 3, 4, 5]) / 9, atol=1e-4)
    assert torch.equal(images[0, :, 0, 0], torch.arange(9.0) / 9), "the batch that was passed in must not change"
