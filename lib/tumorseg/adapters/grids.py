"""Where the voxels of images lie, remembered: a label is compared with its image without reading that each time."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tumorseg.adapters.files import fingerprint
from tumorseg.errors import TumorSegError

if TYPE_CHECKING:
    from tumorseg.adapters.sources import ImageSource
    from tumorseg.geometry import Grid

logger = logging.getLogger(__name__)
_MOST = 4096


@dataclass(frozen=True)
class ImagePlace:
    """Where an image lies.

    Attributes:
        grid: of the image's voxels.
        placed: False for a picture, whose pixels have no place in a patient and can only be counted.
    """

    grid: Grid
    placed: bool


class ImagePlaces:
    """The places of a source's images; looked up anew when a file of the image changes."""

    def __init__(self, source: ImageSource) -> None:
        self._source = source
        self._known: OrderedDict[tuple[object, ...], ImagePlace] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, image_id: str) -> ImagePlace | None:
        """Return where an image lies; None where it cannot be read now, which must not keep a label from being kept."""
        try:
            key = (image_id, fingerprint(self._source.files(image_id)))
            with self._lock:
                known = self._known.get(key)
            return known or self._remember(key, self._read(image_id))
        except (TumorSegError, OSError) as error:
            logger.warning("a label of %s is kept without comparing it with its image: %s", image_id, error)
            return None

    def _read(self, image_id: str) -> ImagePlace:
        image, grid = self._source.read(image_id, None)
        return ImagePlace(grid, image.placed and image.spacing_known)

    def _remember(self, key: tuple[object, ...], place: ImagePlace) -> ImagePlace:
        with self._lock:
            self._known[key] = place
            while len(self._known) > _MOST:
                self._known.popitem(last=False)
        return place
