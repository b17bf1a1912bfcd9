"""``detection_score``: for detectors, the image with the finding that is nearest to the threshold."""

from __future__ import annotations

from tumorseg.active_learning.ranking import by_score
from tumorseg.active_learning.types import DETECTION_MARGIN, Strategy


def build() -> Strategy:
    """Return the strategy."""
    return by_score("detection_score", DETECTION_MARGIN, "Where a finding is nearest to the threshold")
