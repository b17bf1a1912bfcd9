"""``tta``: the highest disagreement between changed pictures of the same slice.

Wang et al., Aleatoric uncertainty estimation with test-time augmentation for medical image segmentation with
convolutional neural networks, Neurocomputing 2019.
"""

from __future__ import annotations

from tumorseg.active_learning.ranking import by_score
from tumorseg.active_learning.types import TTA, Strategy


def build() -> Strategy:
    """Return the strategy."""
    return by_score("tta", TTA, "Where mirrored and changed pictures give another answer")
