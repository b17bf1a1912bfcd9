"""A simulated person who corrects a mask: each click lies deep inside the largest error that is left.

The protocol by which interactive methods are compared: Xu et al., "Deep interactive object selection", CVPR 2016, put
the next click into the middle of the largest error region; Sofiiuk et al., "Reviving iterative training with mask
guidance for interactive segmentation" (RITM), 2021, evaluate with the pixel of it that is furthest from its border.
There the image is a picture. Here the region is one of the volume, and the click lies in the slice that shows most of
it, as a person who scrolls through the volume would see it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tumorseg.errors import InputError
from tumorseg.interactive.prompts import Click, Scribble

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]

#: Half the width of the brush that a person takes who draws instead, pixels.
BRUSH = 3
# Voxels that share a face, an edge or a corner belong together.
_NEIGHBOURS = np.ones((3, 3, 3), bool)


def next_click(
    mask: Mask,
    truth: Mask,
    *,
    spacing: Sequence[float] = (1.0, 1.0, 1.0),
    noisy: int = 0,
    rng: np.random.Generator | None = None,
) -> Click | None:
    """Return where the person clicks next.

    1. Connected components (26 neighbours) of what is missing and of what is too much; the largest one. Of two of the
       same size a missing one comes first, then the one whose first voxel comes first in ``(k, j, i)``.
    2. In it the slice (along k) with most of its voxels, the first of several.
    3. In that slice the voxel furthest from anything that is not of the component (nor is what lies beyond the image's
       edge), by millimetres in the plane; the first of several in ``(j, i)``.

    Args:
        mask: ``(K, J, I)`` bool, what is shown.
        truth: ``(K, J, I)`` bool, what the person wants.
        spacing: mm along ``(i, j, k)``, as of :class:`tumorseg.geometry.Grid`.
        noisy: the hand misses by up to so many pixels along each axis of the slice, but stays within the error.
        rng: draws the misses; needed where ``noisy`` is not 0.

    Returns:
        A positive click where the truth is missing, a negative one where too much is marked; None where both agree.

    Raises:
        InputError: masks of different shapes or not bool, or misses without ``rng``.
    """
    _check(mask, truth, noisy, rng)
    found = _largest_error(mask, truth)
    if found is None:
        return None
    error, positive = found
    k = int(np.argmax(error.sum(axis=(1, 2))))
    j, i = _deepest(error[k], spacing)
    if noisy and rng is not None:
        j, i = _missed(error[k], (j, i), noisy, rng)
    return Click((i, j, k), positive)


def stroke(click: Click, truth: Mask) -> Scribble:
    """Return what the person draws instead, for a method that takes strokes: a dab of the brush where the click lies.

    Args:
        click: of :func:`next_click`.
        truth: ``(K, J, I)`` bool, what the person wants; nobody paints over the edge of it.
    """
    i, j, k = click.at
    row, column = np.ogrid[: truth.shape[1], : truth.shape[2]]
    dab = (row - j) ** 2 + (column - i) ** 2 <= BRUSH**2
    marks = np.zeros(truth.shape, np.int8)
    marks[k][dab & (truth[k] == click.positive)] = 1 if click.positive else -1
    return Scribble(marks)


def _check(mask: Mask, truth: Mask, noisy: int, rng: np.random.Generator | None) -> None:
    for name, array in (("a mask", mask), ("a truth", truth)):
        if array.ndim != 3 or array.dtype.kind != "b":
            raise InputError(f"expected {name} (K, J, I) of bool, got {array.shape} {array.dtype}")
    if mask.shape != truth.shape:
        raise InputError(f"expected a mask and a truth of one shape (K, J, I), got {mask.shape} and {truth.shape}")
    if noisy < 0 or (noisy and rng is None):
        raise InputError(f"expected misses of 0 pixels, or of more with a generator, got {noisy} and {rng}")


def _largest_error(mask: Mask, truth: Mask) -> tuple[Mask, bool] | None:
    """Return the largest error component ``(K, J, I)`` and whether it is missing; None without any error."""
    missing, too_much = (_largest(errors) for errors in (truth & ~mask, mask & ~truth))
    if missing is None or too_much is None:
        return (missing, True) if missing is not None else None if too_much is None else (too_much, False)
    return (missing, True) if missing.sum() >= too_much.sum() else (too_much, False)


def _largest(errors: Mask) -> Mask | None:
    """Return the largest component; components are numbered by their first voxel, and argmax takes the first."""
    from scipy import ndimage

    parts, count = ndimage.label(errors, structure=_NEIGHBOURS)
    if not count:
        return None
    largest: Mask = parts == 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
    return largest


def _deepest(error: Mask, spacing: Sequence[float]) -> tuple[int, int]:
    """Return ``(j, i)`` of the pixel of a slice ``(J, I)`` furthest from the error's border."""
    from scipy import ndimage

    depth = ndimage.distance_transform_edt(np.pad(error, 1), sampling=(spacing[1], spacing[0]))[1:-1, 1:-1]
    j, i = np.unravel_index(int(np.argmax(depth)), error.shape)
    return int(j), int(i)


def _missed(error: Mask, at: tuple[int, int], reach: int, rng: np.random.Generator) -> tuple[int, int]:
    """Return a pixel of the error that a hand aiming at ``at`` hits, all within ``reach`` alike."""
    j, i = (slice(max(0, index - reach), index + reach + 1) for index in at)
    hit = np.argwhere(error[j, i])
    missed = hit[rng.integers(len(hit))]
    return int(missed[0]) + j.start, int(missed[1]) + i.start
