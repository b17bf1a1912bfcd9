"""The pure functions of this room as MONAI dictionary transforms, for pipelines that are built of those.

Kept apart because importing MONAI takes seconds that a prediction does not need to spend.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
from monai.transforms.transform import MapTransform

from tumorseg.transforms.intensity import zscore_foreground


class ZScoreForegroundd(MapTransform):  # type: ignore[misc]
    """:func:`tumorseg.transforms.intensity.zscore_foreground`; the arrays under ``keys`` are ``(C, K, J, I)``."""

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return a copy of ``data`` with the normalised arrays."""
        out = dict(data)
        for key in self.key_iterator(out):
            out[key] = zscore_foreground(np.asarray(out[key]))
        return out
