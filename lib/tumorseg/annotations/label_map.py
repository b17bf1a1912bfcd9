"""Between the regions of a picture and the label map that viewers show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorseg.annotations.trace import parts, trace
from tumorseg.annotations.types import Picture, Region

if TYPE_CHECKING:
    from numpy.typing import NDArray


def label_values(labels: tuple[str, ...]) -> dict[str, int]:
    """Return class name -> value in a label map, from 1 in the order of the set."""
    return {label: value for value, label in enumerate(labels, start=1)}


def label_map(picture: Picture, values: Mapping[str, int]) -> NDArray[np.unsignedinteger[Any]]:
    """Return ``(H, W)`` uint8 (uint16 above 255 labels): the later region covers the earlier where they overlap."""
    voxels = np.zeros((picture.height, picture.width), np.uint8 if max(values.values(), default=0) < 256 else np.uint16)
    for region in picture.regions:
        voxels[region.bitmap(*voxels.shape)] = values[region.label]
    return voxels


def traced_regions(voxels: NDArray[Any], names: Mapping[int, str]) -> tuple[Region, ...]:
    """Return a region of polygons for each part of each label in a ``(H, W)`` map; filled, they give the map back."""
    found = []
    for value in np.unique(voxels[voxels != 0]).tolist():
        name = names.get(int(value), f"label {value}")
        found += [Region(name, trace(part)) for part in parts(voxels == value)]
    return tuple(found)
