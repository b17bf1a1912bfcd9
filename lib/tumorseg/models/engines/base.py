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
    """Maps ``(C, K, H, W)`` normalised voxels to probabilities, of voxels or of whole slices, slice by slice."""

    def __init__(self, spec: SlicewiseSpec) -> None:
        self.spec = spec

    def __call__(
        self, prepared: NDArray[np.float32], progress: Progress | None = None, only: NDArray[np.bool_] | None = None
    ) -> NDArray[np.float32]:
        """Run the network over a volume; ``progress`` hears of every batch that is done.

        Args:
            prepared: ``(C, K, H, W)``.
            progress: told (done, total) slices.
            only: ``(K,)``, the slices to look at; the others are 0.
        """
        _, slices, height, width = prepared.shape
        (top, _), (left, _) = (self._pad(side) for side in (height, width))
        out = np.zeros((slices, height, width), np.float32)

        def keep(indices: NDArray[np.intp], probability: NDArray[np.float32]) -> None:
            out[indices] = probability[:, top : top + height, left : left + width]

        self._each(prepared, keep, progress, only)
        return out

    def scores(self, prepared: NDArray[np.float32], progress: Progress | None = None) -> NDArray[np.float32]:
        """Run a network that says one number of a slice: ``(C, K, H, W)`` -> ``(K,)`` probabilities."""
        out = np.zeros(prepared.shape[1], np.float32)

        def keep(indices: NDArray[np.intp], probability: NDArray[np.float32]) -> None:
            out[indices] = probability[:, 0, 0]

        self._each(prepared, keep, progress, None)
        return out

    def _each(
        self,
        prepared: NDArray[np.float32],
        keep: Callable[[NDArray[np.intp], NDArray[np.float32]], None],
        progress: Progress | None,
        only: NDArray[np.bool_] | None,
    ) -> None:
        """Hand ``keep`` the indices of some slices and what the network says of them, until all were looked at."""
        volume = prepared.transpose(1, 0, 2, 3)  # (K, C, H, W)
        count, _, height, width = volume.shape
        chosen = np.arange(count) if only is None else np.flatnonzero(only)
        pads = ((0, 0), (0, 0), self._pad(height), self._pad(width))
        around = np.arange(self.spec.slices) - self.spec.slices // 2
        done = 0

        def inputs(start: int, stop: int) -> NDArray[np.float32]:
            neighbours = chosen[start:stop, None] + around
            batch = volume[neighbours.clip(0, count - 1)]  # (B, slices, C, H, W); the outermost slices repeat
            batch = batch.reshape(stop - start, -1, height, width)
            return np.ascontiguousarray(np.pad(batch, pads, mode="edge") if np.any(pads) else batch)

        def take(start: int, probability: NDArray[np.float32]) -> None:
            nonlocal done
            keep(chosen[start : start + len(probability)], probability)
            done += len(probability)
            if progress:
                progress(done, len(chosen))

        self.run(len(chosen), inputs, take)

    @abstractmethod
    def run(self, count: int, inputs: Inputs, keep: Keep) -> None:
        """Ask ``inputs`` for all of ``count`` slices and hand every result to ``keep``, in any order."""

    def _pad(self, side: int) -> tuple[int, int]:
        extra = -side % self.spec.stride
        return extra // 2, extra - extra // 2
