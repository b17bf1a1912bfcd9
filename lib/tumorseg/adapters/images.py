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

    def size(self) -> int:
        """Return the bytes of the images that are kept."""
        with self._lock:
            return sum(image.voxels.nbytes for image, _ in self._images.values())

    def _shrink(self) -> None:
        """Forget the images used longest ago until the rest fits."""
        while self._images and sum(image.voxels.nbytes for image, _ in self._images.values()) > self._limit:
            self._images.popitem(last=False)
