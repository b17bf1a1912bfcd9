"""Slices of any size on a square: scaled without distortion, centred, zeros around. And exactly where things were.

Coordinates are pixel edges: the pixel in column ``c`` covers ``[c, c + 1)``, so a scale needs no half-pixel terms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tumorseg.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor


@dataclass(frozen=True)
class Letterbox:
    """How a ``height`` x ``width`` slice lies on a square of ``side`` pixels."""

    height: int
    width: int
    side: int

    def __post_init__(self) -> None:
        if min(self.height, self.width, self.side) < 1:
            raise InputError(f"expected a slice with pixels, got {self.height} x {self.width} on {self.side}")

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the scaled slice."""
        longest = max(self.height, self.width)
        return (
            max(1, round(self.height * self.side / longest)),
            max(1, round(self.width * self.side / longest)),
        )

    @property
    def corner(self) -> tuple[int, int]:
        """Row and column of the scaled slice's first pixel in the square."""
        height, width = self.size
        return (self.side - height) // 2, (self.side - width) // 2

    def apply(self, slices: Tensor) -> Tensor:
        """``(..., height, width)`` float -> ``(..., side, side)``; smaller by averaging, larger by interpolation."""
        from torch.nn import functional as F

        scaled = slices
        if self.size != (self.height, self.width):
            flat = slices.reshape(-1, 1, self.height, self.width)
            scaled = F.interpolate(flat, self.size, mode="bilinear", antialias=True, align_corners=False)
            scaled = scaled.reshape(*slices.shape[:-2], *self.size)
        (top, left), (height, width) = self.corner, self.size
        around = (left, self.side - left - width, top, self.side - top - height)
        return F.pad(scaled, around)

    def boxes_back(self, boxes: NDArray[np.floating]) -> NDArray[np.float64]:
        """``(N, 4)`` x0, y0, x1, y1 on the square -> the same on the slice, cut at its edges."""
        (top, left), (height, width) = self.corner, self.size
        scale = np.array([self.width / width, self.height / height] * 2)
        moved = (np.asarray(boxes, np.float64).reshape(-1, 4) - [left, top, left, top]) * scale
        inside: NDArray[np.float64] = moved.clip(0, [self.width, self.height] * 2)
        return inside
