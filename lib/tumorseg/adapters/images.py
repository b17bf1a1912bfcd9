"""Decoded images kept in memory, so that the second look at a study does not read it again.

Only what was read is kept, never an answer: a model that changed answers anew.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tumorseg.adapters.files import fingerprint

if TYPE_CHECKING:
    from tumorseg.adapters.sources import ImageSource
    from tumorseg.geometry import Grid
    from tumorseg.types import StudyImage

_MEGABYTE = 1 << 20
#: Grids kept, of a few hundred bytes each.
_GRIDS_KEPT = 4096


class ImageCache:
    """The images used last, up to a number of bytes; safe to use from several threads.

    An image is read again when one of its files has another time of change or size.
    """

    def __init__(self, source: ImageSource, limit_mb: int) -> None:
        self._source = source
        self._limit = limit_mb * _MEGABYTE
        self._images: OrderedDict[tuple[object, ...], tuple[StudyImage, Grid]] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, image_id: str, channels: Sequence[str]) -> tuple[StudyImage, Grid]:
        """Return the channels and the grid of the image itself, from memory where they are there and unchanged."""
        key = (image_id, tuple(channels), fingerprint(self._source.files(image_id)))
        with self._lock:
            known = self._images.get(key)
            if known is not None:
                self._images.move_to_end(key)
                return known
        read = self._source.read(image_id, channels)
        read[0].voxels.setflags(write=False)
        with self._lock:
            self._images[key] = read
            self._shrink()
        return read

    def _shrink(self) -> None:
        """Forget the images used longest ago until the rest fits."""
        while self._images and sum(image.voxels.nbytes for image, _ in self._images.values()) > self._limit:
            self._images.popitem(last=False)


class GridCache:
    """Where the voxels of images lie, remembered without the voxels; safe to use from several threads.

    A label is compared with it at every save. The image is decoded at the first one, and when its files changed.
    """

    def __init__(self, source: ImageSource) -> None:
        self._source = source
        self._known: OrderedDict[tuple[object, ...], tuple[Grid, bool]] = OrderedDict()
        self._lock = threading.Lock()

    def grid(self, image_id: str) -> tuple[Grid, bool]:
        """Return the image's own grid, and whether it has a place in the patient (a picture has none)."""
        key = (image_id, fingerprint(self._source.files(image_id)))
        with self._lock:
            known = self._known.get(key)
            if known is not None:
                self._known.move_to_end(key)
                return known
        image, grid = self._source.read(image_id, None)
        placed = image.placed and image.spacing_known
        with self._lock:
            self._known[key] = grid, placed
            while len(self._known) > _GRIDS_KEPT:
                self._known.popitem(last=False)
        return grid, placed
