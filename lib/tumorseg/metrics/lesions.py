"""Lesion by lesion: how many of a patient's lesions were found, and how well each.

A lesion is a connected component of the mask. As in the lesion-wise figures of the BraTS challenges since 2023: all
found components that touch a true lesion are taken together as the answer to it (one lesion found in pieces is found
once, and is as good as the pieces together); a found component that touches several true lesions is part of the answer
to each of them (so each has a low Dice, as it should); a found component that touches none is a false positive.
The lesion-wise Dice is the mean over true lesions and false positives, missed and false ones counting 0. Unlike there,
close lesions are not joined by dilation and small ones are not left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import nan
from typing import TYPE_CHECKING

import numpy as np

from tumorseg.errors import InputError
from tumorseg.metrics.pair import Pair

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Voxels that share a face, an edge or a corner belong together.
_NEIGHBOURS = np.ones((3, 3, 3), bool)


@dataclass(frozen=True, eq=False)
class LesionScores:
    """One patient, lesion by lesion.

    Attributes:
        dice: ``(T,)`` of each true lesion with all found components that touch it; 0 where none does.
        covered: ``(T,)`` part of the lesion's voxels that were found.
        voxels: ``(T,)`` size of each true lesion.
        least: part of a lesion that must be covered for it to count as found.
        false_positives: found components that touch no true lesion.
    """

    dice: NDArray[np.float64]
    covered: NDArray[np.float64]
    voxels: NDArray[np.int64]
    least: float
    false_positives: int

    @cached_property
    def detected(self) -> NDArray[np.bool_]:
        """``(T,)`` True where the lesion was found."""
        return (self.covered > 0) & (self.covered >= self.least)

    @property
    def sensitivity(self) -> float:
        """Part of the true lesions that were found; NaN without any."""
        return float(self.detected.mean()) if self.detected.size else nan

    @property
    def precision(self) -> float:
        """Found true lesions over these and the false positives; NaN where nothing was found."""
        found = int(self.detected.sum())
        return found / (found + self.false_positives) if found + self.false_positives else nan

    @property
    def f1(self) -> float:
        """2 TP / (2 TP + FP + FN); NaN where there is no lesion and nothing was found."""
        total = int(self.detected.sum()) + self.detected.size + self.false_positives
        return 2 * int(self.detected.sum()) / total if total else nan

    @property
    def lesion_dice(self) -> float:
        """Mean Dice of found lesions, with 0 for missed and for false ones; 1 where there is nothing of any kind."""
        total = self.dice.size + self.false_positives
        return float(self.dice[self.detected].sum()) / total if total else 1.0


def lesion_scores(pair: Pair, *, least: float = 0.0) -> LesionScores:
    """Match the lesions of one patient.

    Args:
        pair: truth and answer.
        least: part in [0, 1] of a lesion's voxels that must be covered for it to count as found; 0: any voxel.

    Raises:
        InputError: ``least`` is out of range.
    """
    from scipy import ndimage

    if not 0 <= least <= 1:
        raise InputError(f"expected the least covered part of a lesion in [0, 1], got {least}")
    truth, lesions = ndimage.label(pair.truth, structure=_NEIGHBOURS)
    found, components = ndimage.label(pair.found, structure=_NEIGHBOURS)
    # shared[t, f]: voxels that true lesion t and found component f have in common; row and column 0 are background.
    codes = truth.astype(np.int64).ravel() * (components + 1) + found.ravel()
    shared = np.bincount(codes, minlength=(lesions + 1) * (components + 1)).reshape(lesions + 1, components + 1)
    sizes, found_sizes = shared[1:].sum(axis=1), shared[:, 1:].sum(axis=0)
    hits = shared[1:, 1:]
    answer = (hits > 0) @ found_sizes
    both = hits.sum(axis=1)
    return LesionScores(
        dice=2 * both / (sizes + answer),
        covered=both / sizes,
        voxels=sizes,
        least=least,
        false_positives=int((hits.sum(axis=0) == 0).sum()),
    )


def lesion_dice(pair: Pair) -> float:
    """Return the lesion-wise Dice in [0, 1]; 1 where there is nothing and nothing was found."""
    return lesion_scores(pair).lesion_dice


def lesion_sensitivity(pair: Pair) -> float:
    """Return the part of the true lesions that were touched; NaN without any."""
    return lesion_scores(pair).sensitivity


def lesion_precision(pair: Pair) -> float:
    """Return the touched true lesions over these and the false positives; NaN where nothing was found."""
    return lesion_scores(pair).precision
