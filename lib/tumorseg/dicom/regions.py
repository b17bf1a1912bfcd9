"""How large a pixel of an ultrasound picture is: its header says so by regions of the screen (PS3.3 C.8.5.5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

#: mm between rows (along j) and between columns (along i).
Spacing = tuple[float, float]

_TWO_DIMENSIONAL = 1  # RegionSpatialFormat
_CENTIMETRES = 3  # PhysicalUnitsXDirection, PhysicalUnitsYDirection
_MM_PER_CM = 10.0
#: mm. Ultrasound resolves no less and shows no more; what lies outside is an error of the device.
SMALLEST_MM, LARGEST_MM = 0.001, 5.0
#: A picture is displayed with square pixels or nearly so; sides that differ more are those of a time axis.
MOST_OBLONG = 2.0
#: Regions whose pixels differ by less than this part have one spacing.
SAME_SPACING = 0.01
#: Where a picture without regions may say its spacing, in the order of trust.
_PLAIN = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")


def picture_spacing(ds: Dataset) -> Spacing | None:
    """Return the size of a pixel in mm, None where the header does not say it, or says different sizes.

    1. The two-dimensional regions in centimetres that cover the middle of the picture speak first: what is looked at
       lies there; two pictures side by side have a region each.
    2. Where none covers it, all two-dimensional regions speak.
    3. They must agree. Without a region PixelSpacing is taken, else ImagerPixelSpacing.
    """
    regions = list(ds.get("SequenceOfUltrasoundRegions") or ())
    if not any(_is_calibrated(region) for region in regions):
        return next(filter(None, (_plain(ds.get(keyword)) for keyword in _PLAIN)), None)
    found = [(region, spacing) for region in regions if (spacing := _spacing(region)) is not None]
    middle = int(ds.Columns) / 2, int(ds.Rows) / 2
    central = [spacing for region, spacing in found if _covers(region, middle)]
    return _agreed(central or [spacing for _, spacing in found])


def _is_calibrated(region: Dataset) -> bool:
    """Whether the region is a two-dimensional one in centimetres."""
    units = region.get("PhysicalUnitsXDirection"), region.get("PhysicalUnitsYDirection")
    return region.get("RegionSpatialFormat") == _TWO_DIMENSIONAL and units == (_CENTIMETRES, _CENTIMETRES)


def _spacing(region: Dataset) -> Spacing | None:
    """Return the size of a region's pixels; the sign of a step only says which way an axis runs."""
    steps = region.get("PhysicalDeltaY"), region.get("PhysicalDeltaX")
    if not _is_calibrated(region) or None in steps:
        return None
    return _sensible([abs(float(step)) * _MM_PER_CM for step in steps])


def _plain(value: Any) -> Spacing | None:
    """Return the two numbers of PixelSpacing or its like."""
    if value is None or isinstance(value, str) or not hasattr(value, "__len__") or len(value) != 2:
        return None
    return _sensible([float(step) for step in value])


def _sensible(steps: Sequence[float]) -> Spacing | None:
    """Return (rows, columns) where both may be the sides of a pixel."""
    if not all(np.isfinite(step) and SMALLEST_MM <= step <= LARGEST_MM for step in steps):
        return None
    return (steps[0], steps[1]) if max(steps) <= MOST_OBLONG * min(steps) else None


def _covers(region: Dataset, middle: tuple[float, float]) -> bool:
    """Whether the pixel edges of a region enclose a point (x, y); its last column and row belong to it."""
    corners = [region.get(f"RegionLocation{corner}") for corner in ("MinX0", "MinY0", "MaxX1", "MaxY1")]
    if None in corners:
        return False
    x0, y0, x1, y1 = (float(corner) for corner in corners)
    return x0 <= middle[0] <= x1 + 1 and y0 <= middle[1] <= y1 + 1


def _agreed(spacings: Sequence[Spacing]) -> Spacing | None:
    """Return the one spacing of several regions, None where they differ or there is none."""
    if not spacings:
        return None
    several = np.array(spacings)
    same = (several.max(axis=0) - several.min(axis=0) <= SAME_SPACING * several.min(axis=0)).all()
    return spacings[0] if same else None
