"""How much a pixel looks like an object that is known in one slice, whatever the object is.

The share of the object's pixels among the nearest neighbours in the space of intensities (Cover and Hart, "Nearest
neighbor pattern classification", IEEE Transactions on Information Theory 13(1), 1967), object and surroundings
weighted alike. No shape of their distributions is assumed: around a tumour lie several tissues.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]
    Picture = NDArray[np.floating[Any]]

#: Pixels around an object that it is told from.
RING = 10
#: Neighbours that are asked.
NEIGHBOURS = 31
#: Pixels of the object, and as many of its surroundings, that are remembered: drawn evenly where there are more.
MOST_SAMPLES = 1500


class Likeness:
    """Learned from slices in which the object is known.

    Args:
        known: picture ``(C, J, I)`` and the object's mask ``(J, I)``, not empty, of each.
    """

    def __init__(self, known: Iterable[tuple[Picture, Mask]]) -> None:
        from scipy.spatial import cKDTree

        inside, outside = [], []
        for picture, shape in known:
            inside.append(picture[:, shape].T)
            outside.append(picture[:, ring_of(shape)].T)
        own, others = (_thinned(np.concatenate(samples)) for samples in (inside, outside))
        self._is_only = not len(others)
        self._tree: Any = cKDTree(np.concatenate([own, others]).astype(np.float64))
        self._own = np.repeat((1 / len(own), 0.0), (len(own), len(others)))
        self._other = np.repeat((0.0, 1 / max(1, len(others))), (len(own), len(others)))
        # Half a pixel of each: a few neighbours are no certainty.
        self._doubt = 0.5 * (1 / len(own) + 1 / max(1, len(others)))

    def __call__(self, values: Picture) -> NDArray[np.float64]:
        """Return the probability ``(N,)`` in (0, 1) that pixels with ``values`` ``(C, N)`` are of the object."""
        if self._is_only:
            return np.full(values.shape[1], 1 - np.finfo(np.float32).eps)
        count = min(NEIGHBOURS, self._tree.n)
        _, nearest = self._tree.query(values.T.astype(np.float64), range(1, count + 1))
        own, other = self._own[nearest].sum(axis=1), self._other[nearest].sum(axis=1)
        share: NDArray[np.float64] = (own + self._doubt) / (own + other + 2 * self._doubt)
        return share


def ring_of(shape: Mask) -> Mask:
    """Return the pixels within :data:`RING` of a shape ``(J, I)`` and not in it."""
    from tumorseg.interactive.shapes import signed_distance

    around: Mask = (signed_distance(shape) > -RING) & ~shape
    return around


def _thinned(samples: Picture) -> Picture:
    if len(samples) <= MOST_SAMPLES:
        return samples
    kept: Picture = samples[np.linspace(0, len(samples) - 1, MOST_SAMPLES).round().astype(int)]
    return kept
