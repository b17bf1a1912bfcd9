"""Slices in memory, drawn at random for training and in order for validation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tumorseg.errors import InputError
from tumorseg.io.kaggle_3m import Case
from tumorseg.types import StudyImage

Preprocess = Callable[[StudyImage], NDArray[np.float32]]
#: What every network here can be given: the largest stride.
MULTIPLE = 32


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
        mask = case.truth.voxels if case.truth is not None else np.zeros(case.image.grid.shape)
        volumes.append(as_volume(case.id, preprocess(case.image), np.asarray(mask)))
    return volumes


def as_volume(name: str, slices: NDArray[np.float32], mask: NDArray[Any], multiple: int = MULTIPLE) -> Volume:
    """Put what a network sees of a study, and where its tumour is, into memory.

    Args:
        name: of the patient.
        slices: ``(C, K, H, W)`` normalised.
        mask: ``(K, H, W)``; everything but 0 is tumour.
        multiple: sides are padded to a multiple of this, as they are when the model serves: the picture's border is
            repeated, in equal parts on both sides.
    """
    rows, columns = (_around(side, side + -side % multiple) for side in mask.shape[1:])
    image = np.pad(slices.transpose(1, 0, 2, 3).astype(np.float16), ((0, 0), (0, 0), rows, columns), mode="edge")
    marked = np.pad((mask > 0).astype(np.uint8), ((0, 0), rows, columns))
    return Volume(name, np.ascontiguousarray(image), marked)


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

    Slices of patients may differ in size: those of a batch are padded to the square that holds all of them.

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
        """``(B, slices * C, S, S)`` and ``(B, 1, S, S)``, both float32."""
        with_tumour = round(batch * self.tumour_fraction)
        chosen = [self.tumour[i] for i in self.rng.integers(len(self.tumour), size=with_tumour)]
        chosen += [self.empty[i] for i in self.rng.integers(len(self.empty), size=batch - with_tumour)]
        images = [stack_context(self.volumes[v].image, k, self.slices) for v, k in chosen]
        masks = [self.volumes[v].mask[k][None] for v, k in chosen]
        side = max(max(mask.shape[1:]) for mask in masks)
        return (
            torch.from_numpy(np.stack([_square(image, side, "edge") for image in images])).float(),
            torch.from_numpy(np.stack([_square(mask, side, "constant") for mask in masks])).float(),
        )


def _square(picture: NDArray[Any], side: int, mode: Literal["edge", "constant"]) -> NDArray[Any]:
    """Pad ``(C, H, W)`` to one size: batches are stacked, and turning a picture that is no square would distort it."""
    if picture.shape[1:] == (side, side):
        return picture
    rows, columns = (_around(have, side) for have in picture.shape[1:])
    return np.pad(picture, ((0, 0), rows, columns), mode=mode)


def _around(have: int, wanted: int) -> tuple[int, int]:
    """Return how many pixels to add before and behind."""
    return (wanted - have) // 2, wanted - have - (wanted - have) // 2


def in_order(volume: Volume, slices: int, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the whole volume in batches, as validation and inference see it."""
    for start in range(0, len(volume.mask), batch):
        chunk = range(start, min(start + batch, len(volume.mask)))
        images = np.stack([stack_context(volume.image, k, slices) for k in chunk])
        masks = np.array(volume.mask[chunk.start : chunk.stop, None])  # torch takes no view that is read-only
        yield torch.from_numpy(images).float(), torch.from_numpy(masks).float()
