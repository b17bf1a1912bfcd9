"""From a mask back to polygons, exactly: filling what is traced gives the same pixels.

The outline runs along the edges of the pixels, so all coordinates are whole numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_Point = tuple[int, int]


def trace(mask: NDArray[np.bool_]) -> tuple[NDArray[np.float64], ...]:
    """Return a ``(P, 2)`` x, y polygon for each part of a ``(H, W)`` mask that hangs together over edges.

    A hole is joined to the outline by a cut of no width, to its first corner and back: the cut runs between pixels, so
    that no centre lies on it, and it is crossed twice, so that inside stays inside.
    """
    from skimage.measure import label, regionprops

    polygons = []
    for part in regionprops(label(mask, connectivity=1)):
        row, column = part.bbox[:2]
        loops = _loops(part.image)
        polygons.append(np.array(_joined(loops), float) + np.array([column, row]))
    return tuple(polygons)


def parts(mask: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """Return ``(H, W)`` masks of the parts that hang together over edges or corners, from the upper left."""
    from skimage.measure import label

    numbered = label(mask, connectivity=2)
    return [np.asarray(numbered == number) for number in range(1, int(numbered.max()) + 1)]


def _loops(mask: NDArray[np.bool_]) -> list[list[_Point]]:
    """Return the closed walks around the set pixels, these to the right hand; the first is the outermost."""
    following = _edges(mask)
    loops: list[list[_Point]] = []
    while following:
        # The smallest corner is on the outermost loop.
        start = min(following) if not loops else next(iter(following))
        loop, here = [start], _step(following, start)
        while here != start:
            loop.append(here)
            here = _step(following, here)
        loops.append(_corners(loop))
    return loops


def _edges(mask: NDArray[np.bool_]) -> dict[_Point, list[_Point]]:
    """Return start -> ends of the pixel edges between set and unset, one pixel long."""
    padded = np.pad(mask, 1)
    inside = padded[1:-1, 1:-1]
    following: dict[_Point, list[_Point]] = {}
    # Neighbour above, right, below, left; where the edge towards it starts and ends within the pixel.
    for beside, (x0, y0), (x1, y1) in (
        (padded[:-2, 1:-1], (0, 0), (1, 0)),
        (padded[1:-1, 2:], (1, 0), (1, 1)),
        (padded[2:, 1:-1], (1, 1), (0, 1)),
        (padded[1:-1, :-2], (0, 1), (0, 0)),
    ):
        rows, columns = np.nonzero(inside & ~beside)
        for x, y in zip(columns.tolist(), rows.tolist(), strict=True):
            following.setdefault((x + x0, y + y0), []).append((x + x1, y + y1))
    return following


def _step(following: dict[_Point, list[_Point]], here: _Point) -> _Point:
    """Walk along one edge that leads away from ``here``, and take it out."""
    ends = following[here]
    end = ends.pop()
    if not ends:
        del following[here]
    return end


def _corners(loop: list[_Point]) -> list[_Point]:
    """Drop the points at which a closed walk goes straight on."""
    points = np.array(loop)
    turn = (points - np.roll(points, 1, axis=0)) != (np.roll(points, -1, axis=0) - points)
    return [loop[index] for index in np.flatnonzero(turn.any(axis=1))]


def _joined(loops: list[list[_Point]]) -> list[_Point]:
    outline = list(loops[0])
    x, y = outline[0]
    for hole in loops[1:]:
        # Out along y, in along x, around the hole and the same way back; all between pixels.
        elbow = (x, hole[0][1])
        outline += [(x, y), elbow, *hole, hole[0], elbow]
    return [*outline, (x, y)] if len(loops) > 1 else outline
