"""One study's share of a run of a detector."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tumorseg.models.base import Progress
from tumorseg.models.engines.rung import Rung, lower
from tumorseg.transforms.letterbox import Letterbox

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tumorseg.models.detection_options import DetectionOptions
    from tumorseg.models.engines.detection import SliceDetections


class DetectionLook:
    """Slices to look at, and what was found in them.

    Args:
        axial: ``(K, H, W)`` grey slices in [0, 1].
        side: pixels of the network's square input.
        options: thresholds of the request.
        progress: told (done, total) slices; what it raises ends this study's share and nobody else's.

    Attributes:
        found: by slice, as far as they were looked at.
        error: what ended the share early.
        rung: the lowest rung that a slice took.
    """

    def __init__(
        self, axial: NDArray[np.float32], side: int, options: DetectionOptions, progress: Progress | None = None
    ) -> None:
        self.axial, self.options = axial, options
        self.box = Letterbox(axial.shape[1], axial.shape[2], side)
        self.found: list[SliceDetections] = []
        self.error: Exception | None = None
        self.rung: Rung | None = None
        self._progress = progress

    @property
    def size(self) -> int:
        """Slices to look at."""
        return len(self.axial)

    @property
    def nbytes(self) -> int:
        """Bytes of the slices; what is found in them is small."""
        return int(self.axial.nbytes)

    def restart(self) -> None:
        """Forget what a run that failed as a whole has left."""
        self.found.clear()
        self.rung = None

    def keep(self, found: SliceDetections, rung: Rung) -> None:
        """Take what was found in the next slice."""
        if self.error is not None:
            return
        self.found.append(found)
        self.rung = lower(self.rung, rung)
        if self._progress:
            try:
                self._progress(len(self.found), len(self.axial))
            except Exception as error:
                self.error = error
