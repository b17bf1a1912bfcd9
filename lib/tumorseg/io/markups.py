"""Boxes as ROI nodes of 3D Slicer: its markups JSON, in LPS mm, oriented as the image's axes.

A file that Slicer reads names each box, colours it, and lists what was measured; Slicer shows the measurements as the
node's description. MONAI Label's module renames the nodes it loads to "Detection ROI - n", so the class stands in the
label of the control point too, which it leaves alone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tumorseg.io.palette import colour

if TYPE_CHECKING:
    from tumorseg.geometry import OrientedBox

SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/"
    "markups-schema-v1.0.3.json#"
)


@dataclass(frozen=True, eq=False)
class Roi:
    """One box to be shown.

    Attributes:
        name: what it is called.
        box: where it lies.
        value: label value, which chooses the colour.
        measurements: (name, number, unit). The name ``"volume"`` is Slicer's own, of the box: it would be replaced.
    """

    name: str
    box: OrientedBox
    value: int
    measurements: tuple[tuple[str, float, str], ...] = ()


def markups_bytes(rois: Sequence[Roi]) -> bytes:
    """Return the boxes as the content of a ``.mrk.json`` file. Slicer itself reads no file without any box."""
    document = {"@schema": SCHEMA, "markups": [_markup(roi) for roi in rois]}
    return json.dumps(document, indent=1).encode()


def _markup(roi: Roi) -> dict[str, Any]:
    """One ROI; its orientation is row by row, with the axes as columns."""
    centre, shade = roi.box.centre.tolist(), [part / 255 for part in colour(roi.value)]
    orientation = roi.box.axes.ravel().tolist()
    return {
        "type": "ROI",
        "coordinateSystem": "LPS",
        "coordinateUnits": "mm",
        "roiType": "Box",
        "insideOut": False,
        "name": roi.name,
        "center": centre,
        "size": roi.box.size.tolist(),
        "orientation": orientation,
        "controlPoints": [{"id": "1", "label": roi.name, "position": centre, "orientation": orientation}],
        "measurements": [_measurement(*measured) for measured in roi.measurements],
        "display": {"visibility": True, "color": shade, "selectedColor": shade, "fillVisibility": False},
    }


def _measurement(name: str, value: float, unit: str) -> dict[str, Any]:
    """A number with its unit; ``printFormat`` gets both."""
    return {"name": name, "enabled": True, "value": value, "units": unit, "printFormat": "%.4g %s" if unit else "%.4g"}
