"""What a label says of a model's class, on the voxels of its image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorseg.errors import InputError
from tumorseg.labels.agreement import masks_of
from tumorseg.labels.schema import HELPERS

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tumorseg.adapters.grids import ImagePlace

#: An annotator who marks more than this part of an image has most likely marked everything but the tumour.
MOST_MARKED = 0.5


def marked(
    file: Path, info: Mapping[str, Any], place: ImagePlace, classes: Mapping[str, int], model: str
) -> NDArray[np.bool_]:
    """Return where a label marks what a model looks for, ``(K, J, I)`` on the voxels of its image.

    Classes go by their names, whatever their case; values without a name count as the model's own. Segments that panels
    keep beside the classes (background, scribbles) say nothing.

    Args:
        file: the label.
        info: what was said about it.
        place: of the image.
        classes: of the model, name -> value.
        model: its name, for the message.

    Raises:
        InputError: the file is damaged or lies on other voxels, or marks a class that the model does not know.
    """
    names = {value: name for name, value in classes.items()}
    masks = masks_of(file, info, place.grid, placed=place.placed, names=names)
    wanted = {name.casefold() for name in classes}
    unknown = sorted(
        name for name, mask in masks.items() if name not in HELPERS and name.casefold() not in wanted and mask.any()
    )
    if unknown:
        raise InputError(
            f"the class {unknown[0]!r} is unknown to {model}, which learns {', '.join(classes)}: rename the segment "
            "or save it without"
        )
    found = np.zeros(place.grid.shape, dtype=bool)
    for name, mask in masks.items():
        if name.casefold() in wanted:
            found |= mask
    return found


def is_implausible(mask: NDArray[np.bool_]) -> bool:
    """Whether a mask covers more of its image than a tumour can."""
    return bool(np.count_nonzero(mask) > MOST_MARKED * mask.size)
