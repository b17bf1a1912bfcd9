"""What a click may change: nothing but what hangs together with it.

A network's answer to a click covers a window, and in the far corners of that it is a guess that nobody asked for. The
rules, the same for every method:

1. a positive click only adds and a negative one only removes;
2. of what would be added or removed, only the part stays that is connected to the clicked voxel (26 neighbours), so
   that a click beside a lesion never takes away or joins another one;
3. the clicked voxel, and a few pixels around it in its slice, are what the click says, even where the method disagrees;
4. the voxels of earlier clicks stay what those said.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorseg.interactive.base import Edit
from tumorseg.interactive.prompts import Click, Prompt

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]

#: Pixels around a click in its slice that follow it whatever the method says.
STAMP_RADIUS = 2


def confined(mask: Mask, origin: tuple[int, int, int], wanted: Mask, click: Click, before: Iterable[Prompt]) -> Edit:
    """Take of what a method wants what the click may change.

    Args:
        mask: ``(K, J, I)`` as it is.
        origin: ``(k, j, i)`` of the window in it.
        wanted: ``(k, j, i)`` bool, the window as the method would have it; the click lies inside.
        click: what was clicked.
        before: earlier prompts of the mask.

    Returns:
        The change, as a box around what changes.
    """
    region = tuple(slice(start, start + size) for start, size in zip(origin, wanted.shape, strict=True))
    now: Mask = mask[region]
    at = tuple(index - start for index, start in zip(click.at[::-1], origin, strict=True))
    free = now != click.positive  # only these may change
    changing = free & (wanted == click.positive)
    changing[at[0]] |= free[at[0]] & _disc(wanted.shape[1:], at[1:])
    changing[at] = True
    changing = _connected(changing, at) & free
    for index in _pinned(before, click, origin, wanted.shape):
        changing[index] = False
    return _tight(origin, now, changing)


def _disc(shape: tuple[int, ...], centre: tuple[int, ...]) -> Mask:
    j, i = np.ogrid[: shape[0], : shape[1]]
    near: Mask = (j - centre[0]) ** 2 + (i - centre[1]) ** 2 <= STAMP_RADIUS**2
    return near


def _connected(marked: Mask, at: tuple[int, ...]) -> Mask:
    """Return the part of ``marked`` that hangs together with the voxel ``at``, which is marked."""
    from scipy import ndimage

    parts, _ = ndimage.label(marked, np.ones((3, 3, 3), bool))
    same: Mask = parts == parts[at]
    return same


def _pinned(
    before: Iterable[Prompt], click: Click, origin: tuple[int, int, int], shape: tuple[int, ...]
) -> Iterable[tuple[int, ...]]:
    """Yield where earlier clicks of the other kind lie in the window; of a place the last one counts, also this one."""
    last = {earlier.at: earlier.positive for earlier in chain(before, [click]) if isinstance(earlier, Click)}
    for place, positive in last.items():
        if positive != click.positive:
            index = tuple(at - start for at, start in zip(place[::-1], origin, strict=True))
            if all(0 <= at < size for at, size in zip(index, shape, strict=True)):
                yield index


def _tight(origin: tuple[int, int, int], now: Mask, changing: Mask) -> Edit:
    """Return the change of the smallest box that holds it."""
    if not changing.any():
        return Edit(origin, np.zeros((0, 0, 0), bool))
    box: list[Any] = []
    for axis in range(3):
        hit = np.flatnonzero(changing.any(axis=tuple(other for other in range(3) if other != axis)))
        box.append(slice(int(hit[0]), int(hit[-1]) + 1))
    k, j, i = (start + part.start for start, part in zip(origin, box, strict=True))
    return Edit((k, j, i), now[tuple(box)] ^ changing[tuple(box)])
