"""An image as SAM 2 sees it: slices as pictures, each encoded when somebody first points at it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorseg.geometry import to_axial
from tumorseg.interactive.classical.features import features
from tumorseg.interactive.foundation.grey import is_colour, sequence, shown, window
from tumorseg.interactive.prompts import Index
from tumorseg.io.memory_cache import MemoryCache
from tumorseg.types import StudyImage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tumorseg.interactive.foundation.sam2_network import Embedding, Sam2Network

    Mask = NDArray[np.bool_]


class Slices:
    """The slices of an image along its most axial axis; a :class:`tumorseg.interactive.base.Encoded`.

    Which embeddings are kept changes while people work: with them an answer comes sooner, and is the same. The model
    keeps them for all images together, as what is kept of an image must not grow after it was weighed.

    A slice is turned so that the patient's left is on the right of the picture and the back below: a mirrored or
    permuted series gives the same picture, hence the same answer.

    Args:
        image: any study. A colour picture is seen as it is; of anything else one sequence is seen, as grey
            (:mod:`tumorseg.interactive.foundation.grey`).
        embeddings: where those of all images are kept.
    """

    proposal: Mask | None = None

    def __init__(self, image: StudyImage, embeddings: MemoryCache[Embedding]) -> None:
        self.shape: tuple[int, int, int] = image.grid.shape
        self._turn = to_axial(image.grid)
        self._voxels = image.voxels if is_colour(image) else sequence(image)[None]
        self._window = (0.0, 255.0) if is_colour(image) else window(self._voxels[0], image.modality)
        self._embeddings = embeddings
        self._me = object()  # stands for this image among the embeddings; an address would be used again

    @cached_property
    def evidence(self) -> NDArray[np.float16]:
        """See :class:`tumorseg.interactive.evidence.Shows`."""
        return features(self._voxels)

    @property
    def axis(self) -> int:
        """The axis of ``(K, J, I)`` that the slices are stacked along."""
        return self._turn.order[0]

    @property
    def nbytes(self) -> int:
        """Memory of the voxels, the evidence to come included."""
        return int(self._voxels.nbytes) + self._voxels.size * np.dtype(np.float16).itemsize

    def place(self, at: Index) -> tuple[int, int, int]:
        """Return the slice of a voxel ``(i, j, k)``, and the column and the row of it in that slice's picture."""
        kji = at[::-1]
        row, column = (
            self.shape[axis] - 1 - kji[axis] if flip else kji[axis]
            for axis, flip in zip(self._turn.order[1:], self._turn.flips[1:], strict=True)
        )
        return kji[self.axis], column, row

    def region(self, slice_: int) -> tuple[slice, ...]:
        """Where a slice lies in ``(K, J, I)``."""
        return tuple(slice(slice_, slice_ + 1) if axis == self.axis else slice(None) for axis in range(3))

    def cut(self, mask: Mask, slice_: int) -> Mask:
        """Return the slice ``(H, W)`` of a mask ``(K, J, I)``, turned as its picture is."""
        turned: Mask = self._turn.apply(mask[self.region(slice_)])[0]
        return turned

    def uncut(self, marked: Mask) -> Mask:
        """Undo :meth:`cut`: ``(H, W)`` to what belongs into :meth:`region`, ``(k, j, i)``."""
        return self._turn.invert(marked[None])

    def picture(self, slice_: int) -> NDArray[np.uint8]:
        """Return a slice ``(H, W, 3)`` in 0..255."""
        pixels: NDArray[Any] = self._turn.apply(self._voxels[(slice(None), *self.region(slice_))])[:, 0]
        levels = shown(pixels, *self._window)
        return np.ascontiguousarray(np.moveaxis(np.broadcast_to(levels, (3, *levels.shape[1:])), 0, -1))

    def embedding(self, slice_: int, network: Sam2Network) -> Embedding:
        """Return what the encoder makes of a slice; who asks while somebody else waits for it waits along."""
        return self._embeddings.get((self._me, slice_), lambda: network.encode(self.picture(slice_)))
