"""What an image itself says of its voxels, for methods that know no class: intensities on a common scale.

Kept by the ``Encoded`` of every method that has seen the image, so that following an object through its slices
(:mod:`tumorseg.interactive.propagate`) needs neither the image again nor a network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from tumorseg.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Per cent of the voxels that show something between which a channel goes from 0 to 1: outliers do not set the scale.
LOW, HIGH = 1.0, 99.0
#: How far above 1 the brightest voxels may lie.
CEILING = 1.2
#: Smoothing within a slice, pixels: noise of single pixels is no evidence.
SMOOTHING = 1.0


@runtime_checkable
class Shows(Protocol):
    """An :class:`tumorseg.interactive.base.Encoded` that keeps what the image itself says.

    Attributes:
        evidence: ``(C, K, J, I)`` float16, of :func:`evidence`.
    """

    @property
    def evidence(self) -> NDArray[np.float16]: ...  # noqa: D102


def evidence(voxels: NDArray[Any]) -> NDArray[np.float16]:
    """Bring every channel of an image to a common scale: 0 is dark and 1 bright for that channel.

    Args:
        voxels: ``(C, K, J, I)`` of any units.

    Returns:
        ``(C, K, J, I)`` in [0, CEILING], a little smoothed within the slices.
    """
    from scipy import ndimage

    kept = np.empty(voxels.shape, np.float16)
    for channel, target in zip(voxels, kept, strict=True):
        target[:] = ndimage.gaussian_filter(_scaled(channel), (0, SMOOTHING, SMOOTHING))
    return kept


def evidence_of(encoded: Any) -> NDArray[np.float16]:
    """Return what an encoded image shows.

    Raises:
        InputError: the method keeps nothing of that kind.
    """
    if not isinstance(encoded, Shows):
        raise InputError(
            "this model keeps no intensities of the image, by which an object could be followed through its slices: "
            "choose another interactive model"
        )
    return encoded.evidence


def _scaled(channel: NDArray[Any]) -> NDArray[np.float32]:
    """Scale one channel ``(K, J, I)``; what is empty around the object (the lowest value) has no say."""
    values: NDArray[np.float32] = np.nan_to_num(channel.astype(np.float32))
    shown = values[values > values.min()]
    if not shown.size:
        return np.zeros_like(values)
    low, high = (float(value) for value in np.percentile(shown, (LOW, HIGH)))
    width = max(high - low, float(np.finfo(np.float32).tiny))
    scaled: NDArray[np.float32] = np.clip((values - low) / width, 0, CEILING)
    return scaled
