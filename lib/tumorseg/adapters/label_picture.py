"""What a reviewer looks at: a label drawn on the slices of its image, and what people call the image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tumorseg.errors import InputError, TumorSegError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from tumorseg.adapters.sources import ImageSource
    from tumorseg.labels.types import LabelVersion


def label_picture(source: ImageSource, version: LabelVersion, file: Path) -> bytes:
    """Return a PNG of the slices that a label touches, its classes outlined in colour.

    Raises:
        InputError: the image cannot be read, or the label lies on other voxels.
    """
    from tumorseg.io.overlay import overlay_sheet
    from tumorseg.labels.agreement import masks_of
    from tumorseg.types import Segmentation

    image, grid = source.read(version.image, None)
    masks = masks_of(file, version.info, grid, placed=image.placed and image.spacing_known)
    values = {name: value for value, name in enumerate(masks, start=1)}
    drawn = Segmentation(_label_map(masks, grid.shape), grid, values or {"nothing marked": 1})
    return overlay_sheet(drawn, image, caption=f"{version.tag} by {version.author}")


def _label_map(masks: Mapping[str, NDArray[np.bool_]], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Draw the classes one over the other, ``(K, J, I)``; where they overlap the later one shows."""
    import numpy as np

    if len(masks) > np.iinfo(np.uint8).max:
        raise InputError(f"expected at most 255 classes to draw, got {len(masks)}")
    voxels = np.zeros(shape, np.uint8)
    for value, mask in enumerate(masks.values(), start=1):
        voxels[mask] = value
    return voxels


def title_of(source: ImageSource, image: str) -> tuple[str, str]:
    """Return what people call an image, and its StudyInstanceUID; both ``""`` where nothing is known."""
    try:
        info: dict[str, Any] = dict(source.entry(image).info)
    except TumorSegError:
        return "", ""
    said = (info.get("PatientID"), info.get("SeriesDescription"))
    return " · ".join(str(text) for text in said if text), str(info.get("StudyInstanceUID") or "")
