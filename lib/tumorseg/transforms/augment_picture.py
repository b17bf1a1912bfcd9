"""Augmentation of one picture with its instances, for detection. All randomness comes from the generator."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from tumorseg.transforms.augment import AugmentConfig, random_affine

#: An instance of which less is left in the picture, or fewer pixels, no longer teaches what a lesion looks like.
MIN_VISIBLE, MIN_PIXELS, MIN_SIDE = 0.3, 16, 3


@dataclass(frozen=True)
class PictureAugment:
    """How far a picture may be changed.

    Attributes:
        geometry: rotation, scale, shear and shift, as for slices.
        upside_down: probability of a vertical flip (pictures whose planes are mixed; never for ultrasound, where the
            transducer is on top). The horizontal one has 0.5.
        gamma: log2 of the exponent, either way.
        contrast: relative.
        brightness: of a range of 1.
        noise: the largest standard deviation.
        blur: probability.
        invert: probability of white for black, for sequences the training pictures do not show.
        erase: probability that a rectangle becomes grey (Zhong et al. 2020, random erasing).
    """

    geometry: AugmentConfig = field(
        default_factory=lambda: AugmentConfig(rotation_degrees=25, log2_scale=0.45, shear=0.08, shift=0.1)
    )
    upside_down: float = 0.0
    gamma: float = 0.5
    contrast: float = 0.3
    brightness: float = 0.1
    noise: float = 0.06
    blur: float = 0.15
    invert: float = 0.0
    erase: float = 0.2


def augment_picture(
    image: Tensor, masks: Tensor, side: int, config: PictureAugment, rng: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Return a changed copy.

    Args:
        image: ``(1, H, H)`` float in [0, 1].
        masks: ``(N, H, H)`` float 0 or 1.
        side: of the result.
        config: how far.
        rng: source of randomness.

    Returns:
        The image ``(1, side, side)``, the masks ``(M, side, side)`` bool that are still there, and their indices
        ``(M,)`` among the N.
    """
    theta = random_affine(1, image.shape[-1], side, side / image.shape[-1], config.geometry, rng)
    if _chance(rng, config.upside_down):
        theta = theta * torch.tensor([1.0, -1.0, 1.0])  # the second output axis runs the other way
    grid = F.affine_grid(theta, [1, 1, side, side], align_corners=False)
    both = F.grid_sample(torch.cat([image, masks])[None], grid, align_corners=False)[0]
    warped = both[1:] >= 0.5
    scale = (side / image.shape[-1]) ** 2 / float(torch.det(theta[0, :, :2]).abs())  # area grows by this
    kept = _still_there(masks, warped, scale)
    return _intensity(both[:1], config, rng), warped[kept], kept


def boxes_of(masks: Tensor) -> Tensor:
    """``(N, H, W)`` bool, none empty -> ``(N, 4)`` float x0, y0, x1, y1, half-open pixel edges."""
    boxes = []
    for mask in masks:
        rows, columns = torch.where(mask.any(1))[0], torch.where(mask.any(0))[0]
        boxes.append([float(columns[0]), float(rows[0]), float(columns[-1]) + 1, float(rows[-1]) + 1])
    return torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)


def _still_there(before: Tensor, after: Tensor, scale: float) -> Tensor:
    area, expected = after.sum((1, 2)), before.sum((1, 2)) * scale
    wide, high = after.any(1).sum(1), after.any(2).sum(1)
    big = (area >= MIN_PIXELS) & (wide >= MIN_SIDE) & (high >= MIN_SIDE)
    return torch.where(big & (area >= MIN_VISIBLE * expected))[0]


def _chance(rng: torch.Generator, probability: float) -> bool:
    return float(torch.rand(1, generator=rng)) < probability


def _draw(rng: torch.Generator, extent: float) -> float:
    return float(torch.rand(1, generator=rng) * 2 - 1) * extent


def _intensity(image: Tensor, config: PictureAugment, rng: torch.Generator) -> Tensor:
    out = image.clamp(0, 1) ** (2 ** _draw(rng, config.gamma))
    if _chance(rng, config.invert):
        out = torch.where(image > 0.02, 1 - out, out)  # the air around a head stays black
    middle = float(out.mean())
    out = (out - middle) * (1 + _draw(rng, config.contrast)) + middle + _draw(rng, config.brightness)
    if _chance(rng, config.blur):
        out = F.avg_pool2d(out[None], 3, stride=1, padding=1, count_include_pad=False)[0]
    out = out + torch.randn(out.shape, generator=rng) * abs(_draw(rng, config.noise))
    if _chance(rng, config.erase):
        side = out.shape[-1]
        height, width = (torch.rand(2, generator=rng) * 0.2 * side + 4).int().tolist()
        top, left = (int(torch.rand(1, generator=rng) * (side - n)) for n in (height, width))
        out[:, top : top + height, left : left + width] = float(torch.rand(1, generator=rng))
    return out.clamp(0, 1)
