"""How likely each voxel of a window belongs to the object, by its look and by what was marked near it.

The log-odds of a voxel are the sum of

1. its evidence: what looks like the marks of one kind, and not like the other side;
2. its label as it is: the further from every mark that speaks against it, the more it is kept;
3. the marks of its own label near it, which keep it too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tumorseg.interactive.classical.appearance import Appearance, mixed, probability

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tumorseg.interactive.classical.marks import Marks
    from tumorseg.interactive.classical.window import Window

    Mask = NDArray[np.bool_]
    Field = NDArray[np.float32]
    Density = NDArray[np.float64]

# Chosen on ten training patients, ten clicks each on an empty mask.
#: Pixels around a mark that look like it, and from which on a voxel tells how the other side looks.
NEAR, FAR = 3.0, 24.0
#: Part of the marks in how a side looks; the rest is what the mask holds of it already.
MARKED = 0.6
#: Log-odds a voxel's label gains with each reach that it lies further from the marks against it, and their bounds:
#: at a mark it may change more easily than its look says, beyond four reaches it would need overwhelming evidence.
KEEP, LEAST, MOST = 2.0, -1.0, 3.0
#: Log-odds of the label that no mark of this prompt speaks against.
SETTLED = 2.0
#: A voxel's look never says more than this for sure.
DOUBT = 0.02


def belief(window: Window, now: Mask, marks: Marks, reach: float, unit: float, settled: Mask) -> Field:
    """Return the prior probability of the object, ``(k, j, i)``.

    Args:
        window: what is looked at.
        now: ``(k, j, i)`` the mask as it is.
        marks: all marks in the window.
        reach: pixels around a mark that it is likely to speak for.
        unit: pixels of this image for one of a picture of 256.
        settled: ``(k, j, i)`` what the prompt leaves as it is anyway.
    """
    look = Appearance(window.features)
    inside = _side(look, now, marks.positive, marks.negative, unit)
    outside = _side(look, ~now, marks.negative, marks.positive, unit)
    against = np.where(now, marks.negative, marks.positive)
    own = np.where(now, marks.positive, marks.negative)
    kept = np.clip(KEEP * (against / reach - 1), LEAST, MOST) + np.clip(KEEP * (1 - own / reach), 0, -LEAST)
    kept += SETTLED * settled
    odds = look.evidence(inside, outside) + np.where(now, kept, -kept)
    return probability(odds.astype(np.float32), DOUBT)


def _side(look: Appearance, held: Mask, own: Field, against: Field, unit: float) -> Density | None:
    """Return how one side looks: the surroundings of its marks, and what it holds far from the other side's marks."""
    marked = look.density(np.exp(-np.square(own / (NEAR * unit)) / 2))
    rest = look.density(held * (1 - np.exp(-np.square(against / (FAR * unit)) / 2)))
    return mixed([(MARKED, marked), (1 - MARKED, rest)])
