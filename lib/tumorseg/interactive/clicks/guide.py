"""What the head of the click network is told beside the trunk's features; training and serving make it here.

Channels of the guide, all at half the resolution of a window (:data:`tumorseg.networks.clicks.GUIDE` in all):

- 12: the image's three sequences, 2 x 2 pixels folded into channels;
- 4: the mask as it is, folded likewise;
- 6 hints: discs around positive clicks on the slice (RITM, section 4.1, found discs better than distances), a wide
  bump around positive clicks that fades over slices; the same two of negative clicks; a wider bump around the newest
  click; and everywhere +1 or -1, the newest click's sign.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorseg.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from tumorseg.interactive.prompts import Click

FOLD = 2
#: In pixels of the window at half the resolution, and in slices.
DISC_RADIUS, NEAR_SIGMA, NEWEST_LENGTH, FADE_SLICES = 2.5, 8.0, 20.0, 2.0
_DISC, _NEAR, _NEWEST, _SIGN = 0, 1, 4, 5


def fold(voxels: NDArray[Any]) -> NDArray[np.float32]:
    """``(D, C, H, W)`` -> ``(D, 4 C, H / 2, W / 2)``: 2 x 2 pixels become channels, as PyTorch's PixelUnshuffle."""
    d, c, h, w = voxels.shape
    parts = voxels.reshape(d, c, h // FOLD, FOLD, w // FOLD, FOLD).transpose(0, 1, 3, 5, 2, 4)
    return np.ascontiguousarray(parts, np.float32).reshape(d, c * FOLD**2, h // FOLD, w // FOLD)


def hints(clicks: Sequence[Click], shape: tuple[int, int, int]) -> NDArray[np.float32]:
    """Draw clicks into a window.

    Args:
        clicks: at ``(i, j, k)`` of the window, the newest last; those before it may lie outside.
        shape: ``(D, H, W)`` of the window; H and W even.

    Returns:
        ``(D, 6, H / 2, W / 2)``.
    """
    if not clicks:
        raise InputError("expected at least one click to draw, got none")
    depth, height, width = shape[0], shape[1] // FOLD, shape[2] // FOLD
    out = np.zeros((depth, _SIGN + 1, height, width), np.float32)
    rows, columns = np.arange(height, dtype=np.float32), np.arange(width, dtype=np.float32)
    slices = np.arange(depth)
    for click in clicks:
        # A pixel v at full resolution lies at (v - 0.5) / 2 of the folded one.
        i, j = ((at - 0.5) / FOLD for at in click.at[:2])
        dj, di, dk = (rows - j) ** 2, (columns - i) ** 2, np.abs(slices - click.at[2])
        fade = np.exp(-dk / FADE_SLICES)
        first = 0 if click.positive else 2
        if 0 <= click.at[2] < depth:
            disc = dj[:, None] + di[None] <= DISC_RADIUS**2
            out[click.at[2], first + _DISC][disc] = 1
        near = np.exp(-dj / (2 * NEAR_SIGMA**2))[:, None] * np.exp(-di / (2 * NEAR_SIGMA**2))[None]
        np.maximum(out[:, first + _NEAR], fade[:, None, None] * near, out=out[:, first + _NEAR])
    out[:, _NEWEST] = fade[:, None, None] * np.exp(-np.sqrt(dj[:, None] + di[None]) / NEWEST_LENGTH)
    out[:, _SIGN] = 1 if clicks[-1].positive else -1
    return out


def guide(image: NDArray[Any], mask: NDArray[Any], clicks: Sequence[Click]) -> NDArray[np.float32]:
    """Put together what the head is told of a window.

    Args:
        image: ``(D, 3, H, W)`` normalised sequences.
        mask: ``(D, H, W)`` as it is.
        clicks: as of :func:`hints`.

    Returns:
        ``(D, 22, H / 2, W / 2)``.
    """
    shape = (mask.shape[0], mask.shape[1], mask.shape[2])
    return np.concatenate([fold(image), fold(mask[:, None]), hints(clicks, shape)], axis=1)


def newest(told: Tensor) -> Tensor:
    """``(N, 22, H / 2, W / 2)`` guides -> ``(N, H, W)``: 1 at the newest click, less the further from it."""
    near = told[:, -2:-1]
    return near.repeat_interleave(FOLD, dim=2).repeat_interleave(FOLD, dim=3)[:, 0]
