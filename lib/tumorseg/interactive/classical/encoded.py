"""What is kept of an image between prompts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorseg.interactive.classical.features import features
from tumorseg.types import StudyImage

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Pixels that neighbouring slices lie apart where the image does not say: what is usual for clinical series.
UNKNOWN_DISTANCE = 4.0
#: Bounds of that distance: slices nearer than a quarter of a pixel are one, and further than these are strangers.
NEAREST, FURTHEST = 0.25, 16.0


@dataclass(frozen=True, eq=False)
class EncodedImage:
    """See :class:`tumorseg.interactive.base.Encoded`; there is never a proposal.

    Attributes:
        features: ``(C, K, J, I)`` float16 in [0, 1], C of 1 to 3.
        distance: of neighbouring voxels along k, j, i, in units of the smaller side of a pixel.
    """

    features: NDArray[np.float16]
    distance: tuple[float, float, float]

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(K, J, I)`` of the image's own grid."""
        k, j, i = self.features.shape[1:]
        return k, j, i

    @property
    def nbytes(self) -> int:
        """Memory that it holds."""
        return self.features.nbytes

    @property
    def evidence(self) -> NDArray[np.float16]:
        """``(C, K, J, I)`` what the image shows: an object is followed through its slices by it."""
        return self.features

    @property
    def proposal(self) -> NDArray[np.bool_] | None:
        """None: it knows of nothing to mark before somebody points at it."""
        return None


def encode(image: StudyImage) -> EncodedImage:
    """Look at an image for the first time.

    Raises:
        InputError: a voxel that is no number.
    """
    seen = features(image.voxels)
    seen.setflags(write=False)
    return EncodedImage(seen, distances(image))


def distances(image: StudyImage) -> tuple[float, float, float]:
    """Return how far neighbours lie apart along k, j, i, in units of the smaller side of a pixel."""
    if not image.spacing_known:
        return UNKNOWN_DISTANCE, 1.0, 1.0
    i, j, k = image.grid.spacing
    pixel = min(i, j)
    between: Any = np.clip(np.array([k, j, i]) / pixel, NEAREST, FURTHEST)
    return float(between[0]), float(between[1]), float(between[2])
