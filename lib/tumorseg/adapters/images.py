"""Decoded images kept in memory, so that the second look at a study does not read it again.

Only what was read is kept, never an answer: a model that changed answers anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tumorseg.adapters.files import fingerprint
from tumorseg.io.memory_cache import MemoryCache

if TYPE_CHECKING:
    from tumorseg.adapters.sources import ImageSource
    from tumorseg.geometry import Grid
    from tumorseg.types import StudyImage

_MEGABYTE = 1 << 20


class ImageCache:
    """The images used last, up to a number of bytes; safe to use from several threads, which read each image once.

    An image is read again when one of its files has another time of change or size.
    """

    def __init__(self, source: ImageSource, limit_mb: int) -> None:
        self._source = source
        self._images: MemoryCache[tuple[StudyImage, Grid]] = MemoryCache(limit_mb * _MEGABYTE, _weight)

    def read(self, image_id: str, channels: Sequence[str] | None) -> tuple[StudyImage, Grid]:
        """Return the channels (None: the image alone) and the image's own grid, from memory where nothing changed."""
        key = (image_id, None if channels is None else tuple(channels), fingerprint(self._source.files(image_id)))
        return self._images.get(key, lambda: self._read(image_id, channels))

    def size(self) -> int:
        """Return the bytes of the images that are kept."""
        return self._images.size()

    def _read(self, image_id: str, channels: Sequence[str] | None) -> tuple[StudyImage, Grid]:
        read = self._source.read(image_id, channels)
        read[0].voxels.setflags(write=False)
        return read


def _weight(read: tuple[StudyImage, Grid]) -> int:
    return read[0].voxels.nbytes
