"""``localisation``: for detectors, the image whose boxes move most when it is changed.

Kao et al., Localization-Aware Active Learning for Object Detection, ACCV 2018, section 3.2.
"""

from __future__ import annotations

from tumorseg.active_learning.ranking import by_score
from tumorseg.active_learning.types import LOCALISATION, Strategy


def build() -> Strategy:
    """Return the strategy."""
    return by_score("localisation", LOCALISATION, "Where findings move when the picture is changed")
