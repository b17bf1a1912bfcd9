"""Clicks and strokes to a mask."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from tumorseg.errors import InputError
from tumorseg.interactive.base import Edit
from tumorseg.interactive.classical.belief import belief
from tumorseg.interactive.classical.marks import filled, marks_of, said
from tumorseg.interactive.classical.window import Window, grown, solve
from tumorseg.interactive.local import confined
from tumorseg.interactive.prompts import Click, Prompt, Scribble

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tumorseg.interactive.classical.encoded import EncodedImage

    Mask = NDArray[np.bool_]

#: Sides of pictures that the lengths below are meant for, in pixels; in larger ones they grow.
PICTURE = 256
#: Pixels around a click, and around strokes, that may change; and across slices, of which at least one and at most so
#: many on each side.
CLICK_MARGIN, STROKE_MARGIN, DEPTH_MARGIN = 64, 32, 16
FEWEST_SLICES, MOST_SLICES = 1, 6
#: Reach of a mark where the mask says nothing else, in pixels.
REACH = 24.0
#: A correcting click lies in the middle of what is wrong: its reach is so many times the way to the nearest voxel that
#: is what it asks for, but not less than so many pixels.
CORRECTION, LEAST_REACH = 1.5, 6.0


def answer_click(encoded: EncodedImage, mask: Mask, before: Sequence[Prompt], click: Click) -> Edit:
    """Return what a click changes (:mod:`tumorseg.interactive.local` says what it may)."""
    unit = unit_of(encoded)
    at = click.at[::-1]
    window = _window(encoded, [slice(index, index + 1) for index in at], CLICK_MARGIN)
    now = window.cut(mask)
    reach = _reach(now == click.positive, window.place(click.at), unit)
    marks = marks_of(window, chain(before, [click]))
    prior = belief(window, now, marks, reach, unit, now == click.positive)
    wanted = solve(window, prior, marks.signs) > 0.5
    wanted = window.full(filled(wanted, marks.signs) if click.positive else wanted)
    return confined(mask, window.origin, wanted, click, before)


def answer_scribble(encoded: EncodedImage, mask: Mask, before: Sequence[Prompt], scribble: Scribble) -> Edit:
    """Return what strokes change.

    The strokes themselves become what they say. Around them (:data:`STROKE_MARGIN` pixels, and neighbouring slices)
    positive ones add what hangs together with them, and negative ones take away what hangs together with them; strokes
    of one kind alone do only that. Everything else stays, and so does what was said of a voxel before.

    Raises:
        InputError: no stroke at all.
    """
    hit = np.nonzero(scribble.marks)
    if not hit[0].size:
        raise InputError("expected a scribble with at least one marked voxel, got an empty one: draw before asking")
    unit = unit_of(encoded)
    window = _window(encoded, [slice(int(axis.min()), int(axis.max()) + 1) for axis in hit], STROKE_MARGIN)
    now = window.cut(mask)
    marks = marks_of(window, chain(before, [scribble]))
    prior = belief(window, now, marks, REACH * unit, unit, np.zeros(window.shape, bool))
    wanted = solve(window, prior, marks.signs) > 0.5
    more, wanted = window.full(filled(wanted, marks.signs)), window.full(wanted)
    now, strokes, earlier = mask[window.region], scribble.marks[window.region], said(window.region, before)
    changed = now | (_hanging(more | now, strokes > 0) & (earlier >= 0))
    changed &= ~_hanging(~wanted & now, strokes < 0) | (now & (earlier > 0))
    changed[strokes > 0], changed[strokes < 0] = True, False
    return Edit(window.origin, changed)


def unit_of(encoded: EncodedImage) -> float:
    """Return the pixels of this image for one of a picture of 256: objects grow with the picture they are shown in."""
    return max(1.0, max(encoded.shape[1:]) / PICTURE)


def _window(encoded: EncodedImage, region: list[slice], margin: int) -> Window:
    unit = unit_of(encoded)
    depth = int(np.clip(round(DEPTH_MARGIN * unit / encoded.distance[0]), FEWEST_SLICES, MOST_SLICES))
    rows, columns = (max(1, round(margin * unit / distance)) for distance in encoded.distance[1:])
    return Window.of(encoded, grown(region, (depth, rows, columns), encoded.shape))


def _reach(same: Mask, place: tuple[int, ...], unit: float) -> float:
    """Return the reach of a click by the voxels of its slice that are already what it asks for."""
    from scipy import ndimage

    there = same[place[0]]
    if not there.any():
        return REACH * unit
    away = float(ndimage.distance_transform_edt(~there)[place[1:]])
    return float(np.clip(CORRECTION * away, LEAST_REACH * unit, REACH * unit))


def _hanging(wanted: Mask, seeds: Mask) -> Mask:
    """Return the parts of ``wanted`` that hang together with some of the seeds (26 neighbours)."""
    from scipy import ndimage

    parts, count = ndimage.label(wanted | seeds, np.ones((3, 3, 3), bool))
    chosen = np.zeros(count + 1, bool)
    chosen[parts[seeds]] = True
    chosen[0] = False
    return np.asarray(chosen[parts])
