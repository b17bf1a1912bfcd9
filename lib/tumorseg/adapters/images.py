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
    from tumorseg.types import StudyImage

_MEGABYTE = 1 << 20


class ImageCache:
    """The images used last, up to a number of bytes; safe to use from several threads.

    An image is read again when one of its files has another time of change or size.
    """

    def __init__(self, source: ImageSource, limit_mb: int) -> None:
        self._source = source
        self._limit = limit_mb * _MEGABYTE
        self._images: OrderedDict[tuple[object, ...], StudyImage] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, image_id: str, channels: Sequence[str]) -> StudyImage:
        """Return the image with these channels, from memory where it is there and unchanged."""
        key = (image_id, tuple(channels), fingerprint(self._source.files(image_id)))
        with self._lock:
            known = self._images.get(key)
            if known is not None:
                self._images.move_to_end(key)
                return known
        image = self._source.read(image_id, channels)
        image.voxels.setflags(write=False)
        with self._lock:
            self._images[key] = image
            self._shrink()
        return image

    def _shrink(self) -> None:
        """Forget the images used longest ago until the rest fits."""
        while self._images and sum(image.voxels.nbytes for image in self._images.values()) > self._limit:
            self._images.popitem(last=False)
