"""The label map that comes with scribbles: strokes drawn into segments of their own, and the segment as it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tumorseg.adapters.interactive.dialects import BACKGROUND_LAYER, FOREGROUND_LAYER, Layers
from tumorseg.errors import InputError
from tumorseg.interactive.prompts import Scribble

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tumorseg.adapters.grids import ImagePlace
    from tumorseg.labels.files import LabelFile

    Mask = NDArray[np.bool_]

#: Voxels that any label may have: unpacking them takes some milliseconds (as where labels are saved).
_CHEAP_VOXELS = 1 << 24


@dataclass(frozen=True, eq=False)
class Drawn:
    """What a viewer shows.

    Attributes:
        scribble: the strokes, None where nothing is drawn.
        shown: ``(K, J, I)`` bool, the segment that is meant as it is now; None where the map has none of its name.
    """

    scribble: Scribble | None
    shown: Mask | None


def read_layers(file: Path, layers: Layers | None, segment: str, place: ImagePlace) -> Drawn:
    """Read a label map that was sent along.

    Args:
        file: as it came.
        layers: which value is what; a ``.seg.nrrd`` with segments says so itself.
        segment: the name of the segment that is meant.
        place: of the image.

    Raises:
        InputError: damaged, too large, on other voxels than the image, or without the layers of the strokes.
    """
    import numpy as np

    from tumorseg.labels.checks import place_label
    from tumorseg.labels.files import read_label

    most = max(2 * int(np.prod(place.grid.shape)), _CHEAP_VOXELS)
    label = read_label(file, most)
    masks = _by_name(label, place_label(label, place.grid, place.placed), layers)
    if not {FOREGROUND_LAYER, BACKGROUND_LAYER} & masks.keys():
        known = ", ".join(sorted(masks)) or "none"
        raise InputError(
            f"expected strokes in segments called {FOREGROUND_LAYER} and {BACKGROUND_LAYER}, got {known}: name them in "
            "label_info"
        )
    marks = np.zeros(place.grid.shape, np.int8)
    for name, value in ((FOREGROUND_LAYER, 1), (BACKGROUND_LAYER, -1)):
        if name in masks:
            marks[masks[name]] = value
    return Drawn(Scribble(marks) if marks.any() else None, masks.get(segment))


def _by_name(label: LabelFile, voxels: NDArray[Any], layers: Layers | None) -> dict[str, Mask]:
    """Return name -> ``(K, J, I)`` of every segment."""
    if label.segments:
        return {segment.name: voxels[segment.layer] == segment.value for segment in label.segments}
    if layers is None:
        raise InputError('expected label_info [{"name": …, "id": …}] with a label map, got none')
    return {name: voxels[0] == value for value, name in layers.names.items() if value}
