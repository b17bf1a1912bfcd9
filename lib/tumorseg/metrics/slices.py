"""Slices without tumour, and how many of them the model marks all the same."""

from __future__ import annotations

import numpy as np

from tumorseg.metrics.pair import Pair


def empty_slices(pair: Pair) -> int:
    """Count the slices (along k) in which the truth has no tumour."""
    return int(np.count_nonzero(~pair.truth.any(axis=(1, 2))))


def false_positive_slices(pair: Pair) -> int:
    """Count the slices (along k) without tumour in which the model marked at least one voxel."""
    return int(np.count_nonzero(~pair.truth.any(axis=(1, 2)) & pair.found.any(axis=(1, 2))))
