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

#: Embeddings of one image that are kept at most. One of a published network takes 16 MiB; a slice whose embedding had
#: to make way is encoded again when it is needed.
KEPT_BYTES = 256 * 2**20


class Slices:
    """The slices of an image along its most axial axis; a :class:`tumorseg.interactive.base.Encoded`.

    The only thing in it that changes is which embeddings are kept: with them an answer comes sooner, and is the same.

    A slice is turned so that the patient's left is on the right of the picture and the back below: a mirrored or
    permuted series gives the same picture, hence the same answer.

    Args:
        image: any study. A colour picture is seen as it is; of anything else one sequence is seen, as grey
            (:mod:`tumorseg.interactive.foundation.grey`).
        kept_bytes: of embeddings.
    """

    proposal: Mask | None = None

    def __init__(self, image: StudyImage, kept_bytes: int = KEPT_BYTES) -> None:
        self.shape: tuple[int, int, int] = image.grid.shape
        self._turn = to_axial(image.grid)
        self._voxels = image.voxels if is_colour(image) else sequence(image)[None]
        self._window = (0.0, 255.0) if is_colour(image) else window(self._voxels[0], image.modality)
        self._embeddings: MemoryCache[Embedding] = MemoryCache(kept_bytes, lambda embedding: embedding.nbytes)

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
        """Memory of the voxels and of the embeddings so far: it grows while the image is worked on."""
        seen = self.evidence.nbytes if "evidence" in self.__dict__ else 0
        return int(self._voxels.nbytes) + seen + self._embeddings.size()

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
        return self._embeddings.get(slice_, lambda: network.encode(self.picture(slice_)))
