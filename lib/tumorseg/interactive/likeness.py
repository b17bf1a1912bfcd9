"""How much a pixel looks like an object that is known in one slice, whatever the object is.

The densities of the object and of its surroundings are those of the classical method
(:mod:`tumorseg.interactive.classical.appearance`); no shape of them is assumed: around a tumour lie several tissues.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorseg.interactive.classical.appearance import Appearance
from tumorseg.interactive.shapes import signed_distance

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]
    Picture = NDArray[np.floating[Any]]

#: Pixels around an object that it is told from.
RING = 10


class Likeness:
    """Learned from slices in which the object is known.

    Args:
        known: picture ``(C, J, I)`` in [0, 1], C of 1 to 3, and the object's mask ``(J, I)``, not empty, of each.
    """

    def __init__(self, known: Iterable[tuple[Picture, Mask]]) -> None:
        pictures, shapes = zip(*known, strict=True)
        look = Appearance(np.stack(pictures, axis=1).astype(np.float32))
        self._own = look.density(np.stack(shapes).astype(np.float64))
        self._other = look.density(np.stack([ring_of(shape) for shape in shapes]).astype(np.float64))

    def __call__(self, picture: Picture) -> NDArray[np.float32]:
        """Return the log odds ``(J, I)`` that the pixels of a picture ``(C, J, I)`` are of the object."""
        odds: NDArray[np.float32] = Appearance(picture[:, None].astype(np.float32)).evidence(self._own, self._other)[0]
        return odds


def ring_of(shape: Mask) -> Mask:
    """Return the pixels within :data:`RING` of a shape ``(J, I)`` and not in it."""
    around: Mask = (signed_distance(shape) > -RING) & ~shape
    return around
