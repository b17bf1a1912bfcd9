"""The shapes of the VGG Image Annotator, versions 1 and 2, as regions and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorseg.annotations.outline import polygon_of
from tumorseg.annotations.types import DEFAULT_LABEL, Region
from tumorseg.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Corners of the polygon that stands for a circle or an ellipse; its area is 0.1 % too small.
ROUND_CORNERS = 72
#: Attributes that hold the class where a region has several, the likeliest first.
CLASS_ATTRIBUTES = ("class", "label", "name", "type", "category", "object")
#: Shapes that mark no region.
NO_AREA = ("point",)


def read_region(shape: Mapping[str, Any], attributes: Mapping[str, Any]) -> Region:
    """Return one region of ``shape_attributes`` and ``region_attributes``; a polyline is closed.

    Raises:
        InputError: an unknown shape, or one that encloses nothing.
    """
    name = shape.get("name")
    try:
        points, box = _outline(str(name), shape)
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"a {name} is described by {dict(shape)}, which lacks or misspells {error}") from error
    polygons = () if box is not None else (points,)
    return Region(class_of(attributes) or DEFAULT_LABEL, polygons, None, box, attributes, {"via": dict(shape)})


def class_of(attributes: Mapping[str, Any]) -> str | None:
    """Return the class that a region's attributes name, None where they name none.

    The first of CLASS_ATTRIBUTES with a text counts, else the only attribute that has one. A checkbox or radio group
    is an object such as ``{"malignant": true}``; the first that is ticked counts.
    """
    texts = {str(key): text for key, value in attributes.items() if (text := _text(value))}
    lowered = {key.lower(): text for key, text in reversed(texts.items())}
    for key in CLASS_ATTRIBUTES:
        if key in lowered:
            return lowered[key]
    return next(iter(texts.values())) if len(texts) == 1 else None


def shape_of(region: Region) -> dict[str, Any]:
    """Return ``shape_attributes`` of a region: as they were read, else a rectangle or a polygon.

    Raises:
        InputError: the region has no outline in one piece; its mask must be traced before.
    """
    if "via" in region.shape:
        return dict(region.shape["via"])
    if len(region.polygons) == 1:
        x, y = region.polygons[0].T
        return {"name": "polygon", "all_points_x": plain(x), "all_points_y": plain(y)}
    if region.box is not None and not region.polygons and region.mask is None:
        x0, y0, x1, y1 = region.box
        x, y, width, height = plain(np.array([x0, y0, x1 - x0, y1 - y0]))
        return {"name": "rect", "x": x, "y": y, "width": width, "height": height}
    raise InputError(f"a region of {region.label!r} has {len(region.polygons)} outlines; VIA takes one")


def plain(values: NDArray[Any]) -> list[int | float]:
    """Return numbers for JSON, whole ones without a point."""
    return [int(value) if float(value).is_integer() else float(value) for value in values]


def _text(value: Any) -> str | None:
    if isinstance(value, Mapping):
        return next((str(key) for key, ticked in value.items() if ticked is True), None)
    return value.strip() or None if isinstance(value, str) else None


def _outline(name: str, shape: Mapping[str, Any]) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Return the corners ``(P, 2)`` of a shape, and its box where it is a rectangle."""
    if name in ("polygon", "polyline"):
        return _points(name, shape["all_points_x"], shape["all_points_y"]), None
    if name == "rect":
        x, y, width, height = (float(shape[key]) for key in ("x", "y", "width", "height"))
        if not (width > 0 and height > 0):
            raise InputError(f"a rectangle of {width:g} x {height:g} encloses nothing; remove or redraw it")
        box = np.array([x, y, x + width, y + height])
        return box[[0, 1, 2, 1, 2, 3, 0, 3]].reshape(4, 2), box
    if name in ("circle", "ellipse"):
        keys = ("r", "r") if name == "circle" else ("rx", "ry")
        rx, ry = (float(shape[key]) for key in keys)
        if not (rx > 0 and ry > 0):
            raise InputError(f"a {name} with radii {rx:g} and {ry:g} encloses nothing; remove or redraw it")
        return _round(float(shape["cx"]), float(shape["cy"]), rx, ry, float(shape.get("theta", 0.0))), None
    raise InputError(f"unknown shape {name!r}; expected polygon, polyline, rect, circle, ellipse or point")


def _points(name: str, xs: Any, ys: Any) -> NDArray[np.float64]:
    x, y = np.asarray(xs, float), np.asarray(ys, float)
    if x.ndim != 1 or x.shape != y.shape:
        raise InputError(f"a {name} has {x.size} x and {y.size} y coordinates; expected as many of each")
    return polygon_of(f"a {name}", np.stack([x, y], axis=1))  # VIA 1 repeats the first point


def _round(cx: float, cy: float, rx: float, ry: float, theta: float) -> NDArray[np.float64]:
    """Return ``(ROUND_CORNERS, 2)`` points on an ellipse whose first axis is turned by ``theta`` radians."""
    t = np.linspace(0, 2 * np.pi, ROUND_CORNERS, endpoint=False)
    x, y = rx * np.cos(t), ry * np.sin(t)
    return np.stack([cx + x * np.cos(theta) - y * np.sin(theta), cy + x * np.sin(theta) + y * np.cos(theta)], axis=1)
