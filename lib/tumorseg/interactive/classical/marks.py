"""What people marked in a window, by clicks and strokes: where, and how far everything lies from it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tumorseg.interactive.local import STAMP_RADIUS
from tumorseg.interactive.prompts import Click, ExtremePoints, Prompt, Scribble

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tumorseg.interactive.classical.window import Window

    Field = NDArray[np.float32]

#: Distance where there is no mark at all.
NOWHERE = 1e6


@dataclass(frozen=True, eq=False)
class Marks:
    """Marks of a window.

    Attributes:
        signs: ``(k, j, i)`` int8, 1 where it belongs to the object, -1 where it does not, 0 where nobody said.
        positive: ``(k, j, i)`` distance to the nearest mark that belongs to it, in pixels.
        negative: ``(k, j, i)`` distance to the nearest one that does not.
    """

    signs: NDArray[np.int8]
    positive: Field
    negative: Field


def marks_of(window: Window, prompts: Iterable[Prompt]) -> Marks:
    """Collect the marks of prompts, the oldest first; where two disagree, the later one holds."""
    signs = np.zeros(window.shape, np.int8)
    for prompt in prompts:
        if isinstance(prompt, Scribble):
            strokes = prompt.marks[window.region]
            hit = np.nonzero(strokes)
            places = tuple(index // by for index, by in zip(hit, window.step, strict=True))
            signs[places] = np.sign(strokes[hit])
        elif isinstance(prompt, Click):
            _stamp(signs, window, prompt.at, 1 if prompt.positive else -1, STAMP_RADIUS)
        elif isinstance(prompt, ExtremePoints):
            for at in prompt.at:
                _stamp(signs, window, at, 1, 0)
    return Marks(signs, _distance(signs > 0, window), _distance(signs < 0, window))


def said(region: tuple[slice, slice, slice], prompts: Iterable[Prompt]) -> NDArray[np.int8]:
    """Return what clicks and strokes said of each voxel of a part of the volume: 1, -1, or 0 for nothing.

    To the voxel, where :func:`marks_of` has a few pixels for a click and perhaps several voxels in one.
    """
    signs = np.zeros([part.stop - part.start for part in region], np.int8)
    for prompt in prompts:
        if isinstance(prompt, Scribble):
            strokes = prompt.marks[region]
            signs[strokes != 0] = np.sign(strokes[strokes != 0])
        elif isinstance(prompt, Click):
            at = tuple(index - part.start for index, part in zip(prompt.at[::-1], region, strict=True))
            if all(0 <= index < size for index, size in zip(at, signs.shape, strict=True)):
                signs[at] = 1 if prompt.positive else -1
    return signs


def filled(wanted: NDArray[np.bool_], signs: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Fill what is enclosed within a slice, unless somebody marked that it does not belong.

    Args:
        wanted: ``(k, j, i)``.
        signs: ``(k, j, i)`` of :class:`Marks`.
    """
    return np.stack([_filled(*both) for both in zip(wanted, signs < 0, strict=True)])


def _filled(part: NDArray[np.bool_], refused: NDArray[np.bool_]) -> NDArray[np.bool_]:
    from scipy import ndimage

    holes, _ = ndimage.label(ndimage.binary_fill_holes(part) & ~part)
    wrong = np.unique(holes[refused])
    return np.asarray(part | ((holes > 0) & ~np.isin(holes, wrong)))


def _stamp(signs: NDArray[np.int8], window: Window, at: tuple[int, int, int], sign: int, radius: int) -> None:
    k, j, i = window.place(at)
    if not all(0 <= index < size for index, size in zip((k, j, i), window.shape, strict=True)):
        return
    rows, columns = np.ogrid[: window.shape[1], : window.shape[2]]
    signs[k][(rows - j) ** 2 + (columns - i) ** 2 <= radius**2] = sign


def _distance(marked: NDArray[np.bool_], window: Window) -> Field:
    from scipy import ndimage

    if not marked.any():
        return np.full(marked.shape, NOWHERE, np.float32)
    return np.asarray(ndimage.distance_transform_edt(~marked, sampling=window.distance), np.float32)
