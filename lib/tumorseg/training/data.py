"""Slices in memory, drawn at random for training and in order for validation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tumorseg.errors import InputError
from tumorseg.io.kaggle_3m import Case
from tumorseg.types import StudyImage

Preprocess = Callable[[StudyImage], NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class Volume:
    """One patient, preprocessed: ``(K, C, H, W)`` float16 image and ``(K, H, W)`` uint8 mask."""

    id: str
    image: NDArray[np.float16]
    mask: NDArray[np.uint8]


def load_volumes(cases: Sequence[Case], preprocess: Preprocess) -> list[Volume]:
    """Preprocess every case with the model's own chain. A case without truth counts as empty."""
    volumes = []
    for case in cases:
        image = preprocess(case.image).transpose(1, 0, 2, 3).astype(np.float16)
        mask = case.truth.voxels if case.truth is not None else np.zeros(case.image.grid.shape)
        volumes.append(Volume(case.id, np.ascontiguousarray(image), (np.asarray(mask) > 0).astype(np.uint8)))
    if len({v.image.shape[1:] for v in volumes}) != 1:
        raise InputError(f"training slices must share one size, got {sorted({v.image.shape[1:] for v in volumes})}")
    return volumes


def tumour_slices(volume: Volume) -> Volume:
    """The slices that show tumour, and no other; for networks that see one slice at a time."""
    shown = volume.mask.any(axis=(1, 2))
    return Volume(volume.id, volume.image[shown], volume.mask[shown])


def stack_context(image: NDArray[np.float16], index: int, slices: int) -> NDArray[np.float16]:
    """``(slices * C, H, W)``: the slice with its neighbours, the outermost repeated at the volume's ends."""
    half = slices // 2
    chosen = np.clip(np.arange(index - half, index + half + 1), 0, len(image) - 1)
    return image[chosen].reshape(-1, *image.shape[2:])


class SliceSampler:
    """Draws batches with a fixed part of tumour slices; every slice of its kind is as likely as any other.

    Args:
        volumes: the training patients.
        slices: how many neighbouring slices make one input (odd).
        tumour_fraction: part of a batch that shows tumour.
        rng: the source of randomness.
    """

    def __init__(
        self, volumes: Sequence[Volume], slices: int, tumour_fraction: float, rng: np.random.Generator
    ) -> None:
        self.volumes, self.slices, self.tumour_fraction, self.rng = volumes, slices, tumour_fraction, rng
        index = [
            (v, k, bool(volume.mask[k].any())) for v, volume in enumerate(volumes) for k in range(len(volume.mask))
        ]
        self.tumour = [(v, k) for v, k, has in index if has]
        self.empty = [(v, k) for v, k, has in index if not has] or self.tumour
        if not self.tumour:
            raise InputError("no training slice shows a tumour: expected masks with values above 0")

    def draw(self, batch: int) -> tuple[Tensor, Tensor]:
        """``(B, slices * C, H, W)`` and ``(B, 1, H, W)``, both float32."""
        with_tumour = round(batch * self.tumour_fraction)
        chosen = [self.tumour[i] for i in self.rng.integers(len(self.tumour), size=with_tumour)]
        chosen += [self.empty[i] for i in self.rng.integers(len(self.empty), size=batch - with_tumour)]
        images = np.stack([stack_context(self.volumes[v].image, k, self.slices) for v, k in chosen])
        masks = np.stack([self.volumes[v].mask[k][None] for v, k in chosen])
        return torch.from_numpy(images).float(), torch.from_numpy(masks).float()


def in_order(volume: Volume, slices: int, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the whole volume in batches, as validation and inference see it."""
    for start in range(0, len(volume.mask), batch):
        chunk = range(start, min(start + batch, len(volume.mask)))
        images = np.stack([stack_context(volume.image, k, slices) for k in chunk])
        masks = volume.mask[chunk.start : chunk.stop, None]
        yield torch.from_numpy(images).float(), torch.from_numpy(masks).float()
