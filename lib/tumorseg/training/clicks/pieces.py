"""Pieces of the training patients: a stack of slices around a place worth clicking, augmented."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from tumorseg.errors import InputError
from tumorseg.transforms.augment import AugmentConfig, augment

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from tumorseg.training.data import Volume

#: Side of the square that is cut out before it is turned and scaled, in pixels; what it lacks repeats the border.
CUT = 256
#: Part of the pieces around a voxel of the tumour; the others lie anywhere in the head, for what is marked in vain.
AROUND_TUMOUR = 0.85
#: A normalised FLAIR above this is head, not air.
HEAD_LEVEL = -0.5


@dataclass(frozen=True, eq=False)
class Piece:
    """A stack of slices.

    Attributes:
        image: ``(D + 2, C, S, S)`` normalised: the D slices and one more on either side, for the trunk.
        truth: ``(D, S, S)`` bool.
    """

    image: Tensor
    truth: NDArray[np.bool_]

    def for_trunk(self) -> Tensor:
        """``(D, 3 C, S, S)``: every slice between its neighbours."""
        parts = [self.image[shift : len(self.image) - 2 + shift] for shift in range(3)]
        return torch.cat(parts, dim=1)


class PieceSampler:
    """Draws pieces; every patient is as likely as any other.

    Args:
        volumes: the training patients.
        side: of a piece, pixels.
        config: how far it is changed.
        rng: draws the places.
        torch_rng: draws the changes.
    """

    def __init__(
        self,
        volumes: Sequence[Volume],
        side: int,
        config: AugmentConfig,
        rng: np.random.Generator,
        torch_rng: torch.Generator,
    ) -> None:
        self.volumes, self.side, self.config, self.rng, self.torch_rng = volumes, side, config, rng, torch_rng
        self.tumours = [np.argwhere(volume.mask) for volume in volumes]
        if not volumes or not all(map(len, self.tumours)):
            raise InputError("expected training patients with a tumour each: leave those without any out")

    def draw(self, depth: int) -> Piece:
        """Draw one piece of ``depth`` slices."""
        chosen = int(self.rng.integers(len(self.volumes)))
        volume = self.volumes[chosen]
        k, j, i = self._place(chosen)
        first = int(np.clip(k - self.rng.integers(depth), 0, max(0, len(volume.mask) - depth)))
        slices = np.clip(np.arange(first - 1, first + depth + 1), 0, len(volume.mask) - 1)
        cut = _square(j, i, volume.image.shape[2:])
        image = volume.image[slices][:, :, cut[0][:, None], cut[1]].astype(np.float32)
        truth = volume.mask[slices[1:-1]][:, cut[0][:, None], cut[1]] * _inside(j, i, volume.mask.shape[1:])
        channels = image.shape[1]
        changed, marked = augment(
            torch.from_numpy(image.reshape(1, -1, CUT, CUT)),
            torch.from_numpy(truth[None].astype(np.float32)),
            self.side,
            1.0,
            self.config,
            self.torch_rng,
            channels=channels,
            flair=min(1, channels - 1),
        )
        return Piece(changed.reshape(-1, channels, self.side, self.side), marked[0].numpy() >= 0.5)

    def _place(self, chosen: int) -> tuple[int, int, int]:
        tumour, image = self.tumours[chosen], self.volumes[chosen].image
        if self.rng.random() < AROUND_TUMOUR:
            k, j, i = tumour[self.rng.integers(len(tumour))]
            return int(k), int(j), int(i)
        k = int(self.rng.integers(len(image)))
        head = np.argwhere(image[k].max(axis=0) > HEAD_LEVEL)
        j, i = head[self.rng.integers(len(head))] if len(head) else (image.shape[2] // 2, image.shape[3] // 2)
        return k, int(j), int(i)


def _square(j: int, i: int, shape: tuple[int, ...]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of a square of :data:`CUT` around a place; those that do not exist are the nearest that do."""
    around = np.arange(CUT) - CUT // 2
    return np.clip(j + around, 0, shape[0] - 1), np.clip(i + around, 0, shape[1] - 1)


def _inside(j: int, i: int, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Where that square lies in the picture: a repeated border repeats no tumour."""
    rows, columns = (np.arange(CUT) - CUT // 2 + at for at in (j, i))
    inside: NDArray[np.bool_] = ((rows >= 0) & (rows < shape[0]))[:, None] & (columns >= 0) & (columns < shape[1])
    return inside
