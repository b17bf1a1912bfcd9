"""Doing something to every picture of a stack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tumorseg.errors import InputError


def each_plane(change: Callable[[NDArray[np.float32]], NDArray[Any]], voxels: NDArray[Any]) -> NDArray[np.float32]:
    """Apply ``change`` to every ``(J, I)`` plane of ``(..., J, I)``, scaled to [0, 1] by its own range.

    A constant plane has no contrast to change and becomes zero.

    Raises:
        InputError: fewer than two axes, or voxels that are not finite.
    """
    if voxels.ndim < 2:
        raise InputError(f"expected pictures (..., J, I), got an array of shape {voxels.shape}")
    if not np.isfinite(voxels).all():
        raise InputError("expected finite voxels, got NaN or infinity: repair the image first")
    planes = voxels.reshape(-1, *voxels.shape[-2:]).astype(np.float32)
    out = np.zeros(planes.shape, np.float32)
    for plane, target in zip(planes, out, strict=True):
        low, high = float(plane.min()), float(plane.max())
        if high > low:
            target[...] = change((plane - low) / (high - low))
    return out.reshape(voxels.shape)
