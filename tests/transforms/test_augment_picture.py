"""Augmentation of pictures with their instances."""

import torch

from tumorseg.transforms.augment import AugmentConfig
from tumorseg.transforms.augment_picture import PictureAugment, augment_picture, boxes_of

STILL = PictureAugment(
    geometry=AugmentConfig(rotation_degrees=0, log2_scale=0, shear=0, shift=0),
    gamma=0,
    contrast=0,
    brightness=0,
    noise=0,
    blur=0,
    erase=0,
)


def picture():
    masks = torch.zeros(2, 64, 64)
    masks[0, 10:20, 30:50] = 1
    masks[1, 40:60, 5:15] = 1
    return masks.amax(0, keepdim=True) * 0.8, masks


def test_without_any_change_only_the_mirror_is_left():
    image, masks = picture()
    out, kept, indices = augment_picture(image, masks, 64, STILL, torch.Generator().manual_seed(0))
    assert indices.tolist() == [0, 1]
    straight = torch.equal(kept, masks.bool())
    assert straight or torch.equal(kept, masks.bool().flip(-1))
    assert torch.allclose(out, image if straight else image.flip(-1), atol=1e-5)


def test_masks_go_where_the_picture_goes():
    image, masks = picture()
    rng = torch.Generator().manual_seed(1)
    config = PictureAugment(gamma=0, contrast=0, brightness=0, noise=0, blur=0, erase=0, upside_down=0.5)
    for _ in range(20):
        out, kept, indices = augment_picture(image, masks, 48, config, rng)
        assert out.shape == (1, 48, 48)
        if len(indices) == 2:
            assert ((out[0] > 0.4) != kept.any(0)).float().mean() < 0.01


def test_what_leaves_the_picture_leaves_the_list():
    masks = torch.zeros(1, 64, 64)
    masks[0, :4, :4] = 1
    config = PictureAugment(geometry=AugmentConfig(rotation_degrees=0, log2_scale=0, shear=0, shift=0.9))
    rng = torch.Generator().manual_seed(0)
    counts = {len(augment_picture(masks, masks, 64, config, rng)[2]) for _ in range(30)}
    assert counts == {0, 1}


def test_every_value_stays_in_range_and_the_seed_decides():
    image, masks = picture()
    first, second = (
        [augment_picture(image, masks, 64, PictureAugment(invert=0.5), rng)[0] for _ in range(10)]
        for rng in (torch.Generator().manual_seed(3), torch.Generator().manual_seed(3))
    )
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert all(float(a.min()) >= 0 and float(a.max()) <= 1 for a in first)


def test_boxes_are_half_open_and_none_give_none():
    assert boxes_of(picture()[1].bool()).tolist() == [[30, 10, 50, 20], [5, 40, 15, 60]]
    assert boxes_of(torch.zeros(0, 8, 8, dtype=torch.bool)).shape == (0, 4)
