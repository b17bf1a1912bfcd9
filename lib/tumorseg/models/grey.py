"""From any image to grey slices in [0, 1], the input of the networks that look at pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tumorseg.errors import InputError
from tumorseg.types import FLAIR, T1, T1GD, T2, StudyImage

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Of several sequences the first of these that is there is looked at.
PREFERENCE = (FLAIR, T2, T1GD, T1)
#: ITU-R BT.601 luma of red, green and blue.
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
#: Percentiles of the whole image that become black and white.
BLACK, WHITE = 0.5, 99.7
SAMPLE = 200_000  # voxels that the percentiles are estimated from


def grey_slices(
    image: StudyImage, preference: tuple[str, ...] = PREFERENCE
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Return ``(K, J, I)`` float32 in [0, 1] and notes on what was chosen.

    1. Of named sequences the first of ``preference`` is taken, else the first there is; three unnamed channels are
       red, green and blue and become luma; a single channel is itself.
    2. It is stretched between two percentiles of all its voxels, one stretch for the whole volume, so that slices
       compare.

    Raises:
        InputError: voxels are not finite.
    """
    voxels, notes = _choose(image, preference)
    if voxels.dtype.kind == "f" and not np.isfinite(voxels).all():
        bad = int((~np.isfinite(voxels)).sum())
        raise InputError(f"{bad} voxels are not finite (NaN or infinity); repair the image before it is looked at")
    flat = voxels.reshape(-1)
    black, white = np.percentile(flat[:: max(1, flat.size // SAMPLE)], [BLACK, WHITE])
    if white <= black:  # a constant picture, or all but a few pixels of it
        black, white = float(flat.min()), float(flat.max())
    width = float(white - black) or 1.0
    return ((voxels.astype(np.float32) - np.float32(black)) / np.float32(width)).clip(0, 1), notes


def _choose(image: StudyImage, preference: tuple[str, ...]) -> tuple[NDArray[Any], tuple[str, ...]]:
    named = [name for name in image.channels if name]
    if not named and len(image.channels) == 3:
        return np.tensordot(LUMA, image.voxels.astype(np.float32), 1), ()
    name = next((wanted for wanted in preference if wanted in named), image.channels[0])
    others = [other for other in named if other != name]
    notes = (f"looked at {name or 'the first channel'}, not at {', '.join(others)}",) if others else ()
    return image.channel(name), notes
