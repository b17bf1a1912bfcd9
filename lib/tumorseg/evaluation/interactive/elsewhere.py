"""Whether a click takes something away where nobody clicked.

A lesion is a connected component (26 neighbours) of the truth. A click has to do with the lesion it lies in, and with
every lesion that is joined to the clicked voxel by what is marked: who removes a false bridge may well cut into what it
leads to. All other lesions are elsewhere, and a correct voxel of one of those that a click takes away is harm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tumorseg.interactive.prompts import Click

    Mask = NDArray[np.bool_]

_NEIGHBOURS = np.ones((3, 3, 3), bool)


def lesions_of(truth: Mask) -> NDArray[np.int32]:
    """Return ``(K, J, I)`` the number of the lesion that each voxel belongs to, 0 outside of them."""
    from scipy import ndimage

    parts, _ = ndimage.label(truth, structure=_NEIGHBOURS)
    return np.asarray(parts, np.int32)


def harm_elsewhere(lesions: NDArray[np.int32], before: Mask, after: Mask, click: Click) -> tuple[int, int]:
    """Return how many lesions elsewhere were marked at least in part, and how many of them lost a correct voxel.

    Args:
        lesions: ``(K, J, I)`` of :func:`lesions_of`.
        before: ``(K, J, I)`` the mask that was clicked on.
        after: ``(K, J, I)`` what the click made of it.
        click: where.
    """
    elsewhere = _numbers(lesions[before]) - _concerned(lesions, before, click)
    return len(elsewhere), len(elsewhere & _numbers(lesions[before & ~after]))


def _concerned(lesions: NDArray[np.int32], before: Mask, click: Click) -> set[int]:
    """Return the lesions that a click has to do with."""
    from scipy import ndimage

    at = click.at[::-1]
    concerned = _numbers(lesions[at])
    if before[at]:
        marked, _ = ndimage.label(before, structure=_NEIGHBOURS)
        concerned |= _numbers(lesions[marked == marked[at]])
    return concerned


def _numbers(lesions: NDArray[np.int32] | np.int32) -> set[int]:
    return {int(number) for number in np.unique(lesions) if number}
