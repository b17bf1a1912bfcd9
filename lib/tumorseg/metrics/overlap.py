"""Overlap of two masks, over all slices of a patient together.

Conventions for empty masks: nothing to find and nothing found is perfect agreement, 1.0, for Dice and IoU; the
sensitivity without anything to find and the precision without anything found are not defined, NaN. An evaluation
leaves patients without tumour out of its means and counts their false-positive slices instead.
"""

from __future__ import annotations

from math import nan

from tumorseg.metrics.pair import Pair


def dice(pair: Pair) -> float:
    """Dice coefficient 2 |A and B| / (|A| + |B|) in [0, 1] (Dice 1945)."""
    total = pair.true + pair.marked
    return 2 * pair.both / total if total else 1.0


def iou(pair: Pair) -> float:
    """Intersection over union (Jaccard 1912) in [0, 1]; equals D / (2 - D) of the Dice coefficient D."""
    union = pair.true + pair.marked - pair.both
    return pair.both / union if union else 1.0


def sensitivity(pair: Pair) -> float:
    """Part of the true tumour that was found, in [0, 1]; NaN without tumour."""
    return pair.both / pair.true if pair.true else nan


def precision(pair: Pair) -> float:
    """Part of what was found that is tumour, in [0, 1]; NaN when nothing was found."""
    return pair.both / pair.marked if pair.marked else nan
