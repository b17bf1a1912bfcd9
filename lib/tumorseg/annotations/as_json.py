"""A picture with all that is known of it as JSON and back, without loss: floats keep every digit, masks every pixel."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tumorseg.annotations.rle import decode, encode
from tumorseg.annotations.types import Picture, Region


def picture_to_json(picture: Picture) -> dict[str, Any]:
    """Return everything but the path."""
    return {
        "id": picture.id,
        "width": picture.width,
        "height": picture.height,
        "patient": picture.patient,
        "labelled": picture.labelled,
        "channels": list(picture.channels),
        "attributes": dict(picture.attributes),
        "regions": [_region_to_json(region) for region in picture.regions],
    }


def picture_from_json(value: Mapping[str, Any], path: Path) -> Picture:
    """Return the picture that :func:`picture_to_json` was given, now at ``path``."""
    return Picture(
        id=value["id"],
        path=path,
        width=value["width"],
        height=value["height"],
        regions=tuple(_region_from_json(region, (value["height"], value["width"])) for region in value["regions"]),
        patient=value["patient"],
        attributes=value["attributes"],
        labelled=value["labelled"],
        channels=tuple(value["channels"]),
    )


def _region_to_json(region: Region) -> dict[str, Any]:
    return {
        "label": region.label,
        "polygons": [polygon.tolist() for polygon in region.polygons],
        "mask": None if region.mask is None else encode(region.mask),
        "box": None if region.box is None else region.box.tolist(),
        "attributes": dict(region.attributes),
        "shape": dict(region.shape),
    }


def _region_from_json(value: Mapping[str, Any], shape: tuple[int, int]) -> Region:
    return Region(
        label=value["label"],
        polygons=tuple(np.array(polygon, float) for polygon in value["polygons"]),
        mask=None if value["mask"] is None else decode(value["mask"], shape),
        box=None if value["box"] is None else np.array(value["box"], float),
        attributes=value["attributes"],
        shape=value["shape"],
    )
