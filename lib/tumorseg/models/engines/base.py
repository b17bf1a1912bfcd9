"""What all engines share: context slices, padding, the mirror image."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from tumorseg.models.base import Progress

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tumorseg.models.slicewise import SlicewiseSpec

#: Gives the padded input of slices start..stop, ``(stop - start, slices * C, H, W)`` float32.
Inputs = Callable[[int, int], "NDArray[np.float32]"]
#: Takes the probabilities ``(n, H, W)`` of the slices from start on.
Keep = Callable[[int, "NDArray[np.float32]"], None]


class SliceEngine(ABC):
    """Maps ``(C, K, H, W)`` normalised voxels to ``(K, H, W)`` probabilities, slice by slice."""

    def __init__(self, spec: SlicewiseSpec) -> None:
        self.spec = spec

    def __call__(self, prepared: NDArray[np.float32], progress: Progress | None = None) -> NDArray[np.float32]:
        """Run the network; ``progress`` hears of every batch that is done."""
        volume = prepared.transpose(1, 0, 2, 3)  # (K, C, H, W)
        count, _, height, width = volume.shape
        (top, bottom), (left, right) = (self._pad(side) for side in (height, width))
        half = self.spec.slices // 2
        out = np.empty((count, height, width), np.float32)
        done = 0

        def inputs(start: int, stop: int) -> NDArray[np.float32]:
            neighbours = np.arange(start, stop)[:, None] + np.arange(-half, half + 1)[None]
            batch = volume[neighbours.clip(0, count - 1)]  # (B, slices, C, H, W); the outermost slices repeat
            batch = batch.reshape(stop - start, -1, height, width)
            if top or bottom or left or right:
                batch = np.pad(batch, ((0, 0), (0, 0), (top, bottom), (left, right)), mode="edge")
            return np.ascontiguousarray(batch)

        def keep(start: int, probability: NDArray[np.float32]) -> None:
            nonlocal done
            out[start : start + len(probability)] = probability[:, top : top + height, left : left + width]
            done += len(probability)
            if progress:
                progress(done, count)

        self.run(count, inputs, keep)
        return out

    @abstractmethod
    def run(self, count: int, inputs: Inputs, keep: Keep) -> None:
        """Ask ``inputs`` for all of ``count`` slices and hand every result to ``keep``, in any order."""

    def _pad(self, side: int) -> tuple[int, int]:
        extra = -side % self.spec.stride
        return extra // 2, extra - extra // 2
