"""What of an image a foundation model looks at, as such models were trained on pictures or on single sequences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tumorseg.types import FLAIR, StudyImage

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Hounsfield units of soft tissue, width 400 and level 40: Ma et al. 2024, "Segment anything in medical images"
#: (MedSAM), Nature Communications 15:654, section "Data preprocessing".
CT_WINDOW = (-160.0, 240.0)
#: Percentiles of what is not background: the same section, for everything but CT.
PERCENTILES = (0.5, 99.5)


def is_colour(image: StudyImage) -> bool:
    """Whether an image is a colour picture: three channels of 8 bits that have no names of sequences."""
    return image.voxels.dtype == np.uint8 and image.voxels.shape[0] == 3 and not any(image.channels)


def sequence(image: StudyImage) -> NDArray[Any]:
    """Return the ``(K, J, I)`` voxels of the one sequence that is looked at: FLAIR, else the first."""
    voxels: NDArray[Any] = image.channel(FLAIR) if FLAIR in image.channels else image.voxels[0]
    return voxels


def window(voxels: NDArray[Any], modality: str) -> tuple[float, float]:
    """Return the values that are shown as black and as white.

    1. CT has units: :data:`CT_WINDOW`.
    2. Otherwise :data:`PERCENTILES` of the finite voxels that are not as dark as the darkest, which is air.

    Args:
        voxels: ``(K, J, I)`` of a sequence, the whole volume, so that its slices are alike.
        modality: as DICOM calls it.
    """
    if modality == "CT":
        return CT_WINDOW
    finite = voxels[np.isfinite(voxels)] if voxels.dtype.kind == "f" else voxels.ravel()
    content = finite[finite > finite.min()] if finite.size else finite
    if not content.size:  # one grey everywhere
        return (float(finite[0]) if finite.size else 0.0, (float(finite[0]) if finite.size else 0.0) + 1.0)
    low, high = (float(value) for value in np.percentile(content, PERCENTILES))
    return low, high if high > low else low + 1.0


def shown(voxels: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """Return values between black (``low``) and white (``high``) as 0..255; what is no number is black."""
    scaled = (voxels.astype(np.float32) - low) * (255.0 / (high - low))
    levels: NDArray[np.uint8] = np.rint(np.clip(np.nan_to_num(scaled, nan=0.0), 0, 255)).astype(np.uint8)
    return levels
