"""Augmentation of a batch of slices, in torch, so that it runs where the network runs.

All randomness comes from the generator that is passed in. Geometry is one affine resampling; intensities change per
channel; a sequence is now and then replaced by FLAIR, because that is what the data set, and the product, do where a
sequence is missing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class AugmentConfig:
    """How far a slice may be changed; probabilities are per sample."""

    rotation_degrees: float = 20.0
    log2_scale: float = 0.35
    shear: float = 0.08
    shift: float = 0.08
    gamma: float = 0.3
    contrast: float = 0.25
    brightness: float = 0.25
    noise: float = 0.1
    blur_probability: float = 0.1
    missing_probability: float = 0.08
    neighbour_probability: float = 0.1


def augment(
    images: Tensor,
    masks: Tensor,
    size: int,
    zoom: float,
    config: AugmentConfig,
    rng: torch.Generator,
    *,
    channels: int = 3,
    flair: int = 1,
) -> tuple[Tensor, Tensor]:
    """Return a changed copy of a batch, resampled to ``size`` pixels a side.

    Args:
        images: ``(B, S * C, H, W)`` float32, normalised, slice by slice.
        masks: ``(B, 1, H, W)`` float32 in [0, 1].
        size: side of the output in pixels.
        zoom: output pixels per input pixel (0.5 halves the resolution) before the random scale.
        config: how far.
        rng: the source of randomness, on the CPU.
        channels: C, sequences per slice.
        flair: index of FLAIR among them.

    Returns:
        ``(B, S * C, size, size)`` and ``(B, 1, size, size)``; the mask stays soft (area of the pixel that is tumour).
    """
    images = _drop_sequences(images, channels, flair, config, rng)
    images = _repeat_middle(images, channels, config, rng)
    theta = random_affine(len(images), images.shape[-1], size, zoom, config, rng).to(images.device)
    grid = F.affine_grid(theta, [len(images), 1, size, size], align_corners=False)
    if zoom < 1:  # average before sampling sparsely, or fine texture turns into noise
        factor = round(1 / zoom)
        if factor > 1:
            images, masks = F.avg_pool2d(images, factor), F.avg_pool2d(masks, factor)
    images = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    masks = F.grid_sample(masks, grid, align_corners=False)
    return _change_intensity(images, channels, config, rng), masks


def _uniform(rng: torch.Generator, *shape: int, extent: float) -> Tensor:
    return (torch.rand(*shape, generator=rng) * 2 - 1) * extent


def random_affine(batch: int, side: int, size: int, zoom: float, config: AugmentConfig, rng: torch.Generator) -> Tensor:
    """``(B, 2, 3)`` affines in the normalised coordinates of :func:`affine_grid`, output to input."""
    angle = _uniform(rng, batch, extent=math.radians(config.rotation_degrees))
    scale = 2 ** _uniform(rng, batch, extent=config.log2_scale) * size / (zoom * side)
    stretch = 2 ** _uniform(rng, batch, extent=config.log2_scale / 3)
    shear = _uniform(rng, batch, extent=config.shear)
    flip = torch.where(torch.rand(batch, generator=rng) < 0.5, -1.0, 1.0)
    cosine, sine = torch.cos(angle), torch.sin(angle)
    shift = _uniform(rng, batch, 2, extent=1.0) * (config.shift + (1 - scale).clamp(min=0)[:, None] * 0.6)
    rows = [scale * stretch * cosine * flip, scale * (shear - sine), shift[:, 0]]
    columns = [scale * sine * flip, scale / stretch * cosine, shift[:, 1]]
    return torch.stack([torch.stack(rows, 1), torch.stack(columns, 1)], 1)


def _drop_sequences(images: Tensor, channels: int, flair: int, config: AugmentConfig, rng: torch.Generator) -> Tensor:
    stacked = images.reshape(len(images), -1, channels, *images.shape[2:]).clone()
    for channel in range(channels):
        if channel != flair:
            drop = torch.rand(len(images), generator=rng) < config.missing_probability
            stacked[drop, :, channel] = stacked[drop, :, flair]
    return stacked.reshape(images.shape)


def _repeat_middle(images: Tensor, channels: int, config: AugmentConfig, rng: torch.Generator) -> Tensor:
    """Now and then a neighbour is missing (the volume ends, a slice is left out) and the middle slice stands in."""
    slices = images.shape[1] // channels
    stacked = images.reshape(len(images), slices, channels, *images.shape[2:])
    middle = slices // 2
    for neighbour in range(slices):
        if neighbour != middle:
            drop = torch.rand(len(images), generator=rng) < config.neighbour_probability
            stacked[drop, neighbour] = stacked[drop, middle]
    return images


def _change_intensity(images: Tensor, channels: int, config: AugmentConfig, rng: torch.Generator) -> Tensor:
    batch, slices = len(images), images.shape[1] // channels

    def per_sequence(extent: float) -> Tensor:
        return _uniform(rng, batch, channels, extent=extent).repeat(1, slices)[..., None, None].to(images.device)

    # Gamma on a signed z-score: the head lies between about -2.5 and 5, shift it up, bend it, shift it back.
    bent = (images.clamp(-2.5, 5) + 2.5) / 5
    bent = bent ** (2 ** per_sequence(config.gamma)) * 5 - 2.5
    out = bent * (1 + per_sequence(config.contrast)) + per_sequence(config.brightness)
    blur = (torch.rand(batch, generator=rng) < config.blur_probability).to(images.device)
    if bool(blur.any()):
        out[blur] = F.avg_pool2d(out[blur], 3, stride=1, padding=1, count_include_pad=False)
    level = torch.rand(batch, 1, 1, 1, generator=rng).to(images.device) * config.noise
    noise = torch.randn(out.shape, generator=rng).to(images.device)
    return out + level * noise
