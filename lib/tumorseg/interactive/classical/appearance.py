"""How foreground and background look: histograms over all channels together, smoothed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Cells along each channel, by the number of channels.
CELLS = {1: 64, 2: 32, 3: 24}
#: Smoothing of the histograms, in cells.
BANDWIDTH = 1.0
#: Part of the mass that is spread over all cells: a look that nobody has seen speaks for nothing.
UNSEEN = 0.1


class Appearance:
    """The cells that the voxels of a window fall into.

    Args:
        features: ``(C, k, j, i)`` in [0, 1], C of 1 to 3.
    """

    def __init__(self, features: NDArray[np.float32]) -> None:
        self._shape = (CELLS[len(features)],) * len(features)
        per_axis = np.clip((features * self._shape[0]).astype(np.int32), 0, self._shape[0] - 1)
        cells = per_axis[0]
        for axis in per_axis[1:]:
            cells = cells * self._shape[0] + axis
        self.cells: NDArray[np.int32] = cells

    def density(self, weight: NDArray[Any]) -> NDArray[np.float64] | None:
        """Return the smoothed histogram of the voxels, ``weight`` ``(k, j, i)`` each; None where all are 0."""
        from scipy import ndimage

        count = np.bincount(self.cells.ravel(), weight.ravel(), int(np.prod(self._shape)))
        total = float(count.sum())
        if total <= 0:
            return None
        smooth = ndimage.gaussian_filter((count / total).reshape(self._shape), BANDWIDTH, mode="nearest").ravel()
        return np.asarray((1 - UNSEEN) * smooth + UNSEEN / smooth.size)

    def evidence(
        self, foreground: NDArray[np.float64] | None, background: NDArray[np.float64] | None
    ) -> NDArray[np.float32]:
        """Return ``(k, j, i)`` the log-ratio of two densities at each voxel; 0 where one of them is unknown."""
        if foreground is None or background is None:
            return np.zeros(self.cells.shape, np.float32)
        return np.log(foreground / background).astype(np.float32)[self.cells]


def mixed(
    parts: list[tuple[float, NDArray[np.float64] | None]],
) -> NDArray[np.float64] | None:
    """Return the weighted mean of the densities that are known."""
    known = [(weight, density) for weight, density in parts if density is not None]
    if not known:
        return None
    total = sum(weight for weight, _ in known)
    return np.asarray(sum(weight / total * density for weight, density in known))


def probability(odds: NDArray[np.float32], doubt: float) -> NDArray[np.float32]:
    """Return probabilities of log-odds, ``doubt`` away from 0 and 1."""
    plain = 1 / (1 + np.exp(-np.clip(odds, -30, 30)))
    return np.clip(plain, doubt, 1 - doubt).astype(np.float32)
