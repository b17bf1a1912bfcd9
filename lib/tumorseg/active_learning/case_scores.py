"""Scores of a whole case, gathered a few slices at a time, so that memory does not grow with the volume.

The numbers are those of :func:`tumorseg.active_learning.scoring.case_score` over all slices at once: sums over the
region where the model sees anything, divided once at the end.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorseg.active_learning.scoring import LEAST_REGION, MAPS, SEEN, THRESHOLD
from tumorseg.active_learning.types import FOREGROUND

if TYPE_CHECKING:
    from numpy.typing import NDArray


class CaseScores:
    """Columns of one case.

    Args:
        columns: which; of :data:`tumorseg.active_learning.scoring.MAPS` and ``foreground``.
        least: voxels that are added to the region.
    """

    def __init__(self, columns: Collection[str], *, least: float = LEAST_REGION) -> None:
        self._sums = dict.fromkeys(sorted(columns), 0.0)
        # A part of all voxels needs no smallest region.
        self._regions = {name: 0.0 if name == FOREGROUND else least for name in self._sums}

    def add(self, looks: Mapping[str, NDArray[np.floating[Any]]]) -> None:
        """Take further slices.

        Args:
            looks: for each column ``(T, K, J, I)`` probabilities of the same K slices.
        """
        for name in self._sums:
            values = np.asarray(looks[name], np.float64)
            mean = values.mean(axis=0)
            if name == FOREGROUND:
                self._sums[name] += float((mean >= THRESHOLD).sum())
                self._regions[name] += mean.size
                continue
            region = mean >= SEEN
            self._sums[name] += float(MAPS[name](values)[region].sum())
            self._regions[name] += float(region.sum())

    def add_nothing(self, voxels: int) -> None:
        """Take voxels that the model says are not tumour without a look at them."""
        if FOREGROUND in self._regions:
            self._regions[FOREGROUND] += voxels

    def result(self) -> dict[str, float]:
        """Return the scores, each in [0, 1]; 0 where nothing is seen."""
        return {name: total / (self._regions[name] or 1.0) for name, total in self._sums.items()}
