"""A box, or extreme points, to the object inside.

Rother, Kolmogorov, Blake 2004, "GrabCut" (ACM SIGGRAPH), section 3: what lies outside of the box is background for
sure; inside, appearance and outline are estimated in turns. Here the appearances are histograms, the outline comes of
a random walk, and a weak expectation says that an object fills its box like an ellipsoid.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tumorseg.interactive.base import Edit
from tumorseg.interactive.classical.appearance import Appearance, probability
from tumorseg.interactive.classical.marks import filled, marks_of, said
from tumorseg.interactive.classical.window import Window, grown, solve
from tumorseg.interactive.prompts import Box, ExtremePoints, Index, Prompt

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tumorseg.interactive.classical.encoded import EncodedImage

    Mask = NDArray[np.bool_]
    Region = tuple[slice, slice, slice]

# Chosen on ten training patients, a box for each lesion of each slice and one for the whole of it.
#: Pixels around the box that show how the background looks; a box of several slices shows one more on each side.
MARGIN = 12
#: Turns of appearance and outline.
TURNS = 3
#: Squared radius, in half sides of the box, of the ellipsoid that the first turn takes for the object: in a box of one
#: slice, and in one of several.
FIRST = (0.85, 0.6)
#: Log-odds of the box's centre beside its corners by its shape alone.
SHAPE = 0.5
#: A voxel's look never says more than this for sure.
DOUBT = 0.02


def answer_box(encoded: EncodedImage, mask: Mask, before: Sequence[Prompt], prompt: Box | ExtremePoints) -> Edit:
    """Add the object in a box; outside of the box nothing changes, and inside nothing is taken away.

    Args:
        encoded: the image.
        mask: ``(K, J, I)`` as it is.
        before: earlier prompts; what they said of voxels in the box holds.
        prompt: a box of one slice works on that slice alone; extreme points belong to the object themselves.
    """
    box = prompt if isinstance(prompt, Box) else prompt.box
    points = prompt.at if isinstance(prompt, ExtremePoints) else ()
    depth = 1 if box.first[2] < box.last[2] else 0
    window = Window.of(encoded, grown(box.region, (depth, MARGIN, MARGIN), encoded.shape))
    first, last = window.place(box.first), window.place(box.last)
    k, j, i = (slice(a, b + 1) for a, b in zip(first, last, strict=True))
    found = window.full(_object(window, (k, j, i), marks_of(window, before).signs, points))
    inner = tuple(slice(p.start - o, p.stop - o) for p, o in zip(box.region, window.origin, strict=True))
    added = mask[box.region] | (found[inner] & (said(box.region, before) >= 0))
    for at in points:
        added[tuple(index - first for index, first in zip(at[::-1], box.first[::-1], strict=True))] = True
    return Edit(box.first[::-1], added)


def _object(window: Window, inside: Region, signs: NDArray[np.int8], points: Sequence[Index]) -> Mask:
    """Return the object ``(k, j, i)`` of a window, all of it in the part ``inside``, with what ``signs`` say there."""
    radius = _ellipsoid(window.shape, inside)
    marks = np.full(window.shape, -1, np.int8)
    marks[inside] = signs[inside]
    for at in points:
        marks[window.place(at)] = 1
    candidate = marks >= 0
    look = Appearance(window.features)
    shape = SHAPE * np.clip(1 - radius, -2, 1)
    held = (radius < FIRST[inside[0].stop - inside[0].start > 1]) & candidate
    for turn in range(TURNS):
        evidence = look.evidence(look.density(held), look.density(~held))
        chance = solve(window, probability(evidence + shape, DOUBT), marks, fine=turn == TURNS - 1)
        held = (chance > 0.5) & candidate
        if not held.any():  # somebody drew a box around something: with no evidence at all it is the ellipsoid
            return (radius <= 1) & candidate
    return filled(held, marks)


def _ellipsoid(shape: tuple[int, ...], inside: Region) -> NDArray[np.float32]:
    """Return ``(k, j, i)`` the squared radius in half sides of the box: 1 on the ellipsoid that touches its sides."""
    total = np.zeros(shape, np.float32)
    for axis, part in enumerate(inside):
        half = (part.stop - part.start) / 2
        if axis == 0 and part.stop - part.start <= 2:
            continue  # in one or two slices nothing is round across them
        along = ((np.arange(shape[axis]) + 0.5 - (part.start + part.stop) / 2) / half) ** 2
        total += along.reshape([-1 if other == axis else 1 for other in range(3)]).astype(np.float32)
    return total
