"""Writing Pascal VOC: boxes for everybody, and the exact outlines as ``polygon`` elements for those who read them."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from tumorseg.annotations.place import copy_picture, inside
from tumorseg.annotations.trace import trace
from tumorseg.annotations.types import Picture, PictureSet, Region
from tumorseg.annotations.via_shapes import plain
from tumorseg.annotations.voc_read import ADDED, CORNERS, NAMED, PICTURES, PLACE, SETS, TEXT, XML, value_of

#: What VOC says of every object; these are the values for "not looked at".
_FLAGS = {"pose": "Unspecified", "truncated": 0, "difficult": 0}
_ELEMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]*")


def write(pictures: PictureSet, folder: Path) -> None:
    """Write ``Annotations``, ``JPEGImages`` and, where the set is split, ``ImageSets/Main``.

    What came from VOC goes where it was. A mask becomes the polygon that encloses the same pixels.
    """
    splits: dict[str, list[str]] = defaultdict(list)
    for picture in pictures:
        said = picture.attributes.get("voc")
        name = picture.id.replace("/", "__")
        place = said["place"] if said else f"{PICTURES}/{name}{picture.path.suffix}"
        copied = copy_picture(picture, folder, place if picture.labelled else f"{PICTURES}/{name}{picture.path.suffix}")
        if not picture.labelled:
            continue
        splits[picture.attributes.get("split", "")].append(copied.stem)
        target = inside(folder, said["file"] if said else f"{XML}/{name}.xml")
        target.write_bytes(_xml(picture, copied))
    for split, names in splits.items():
        if split:
            inside(folder, f"{SETS}/{split}.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")


def _xml(picture: Picture, copied: Path) -> bytes:
    said = picture.attributes.get("voc")
    root = ET.fromstring(said["header"]) if said else _header(picture, copied)
    for region in picture.regions:
        root.append(_object_as_read(region) if "voc" in region.shape else _object(region))
    ET.indent(root, " " * 2)
    data: bytes = ET.tostring(root, "utf-8", xml_declaration=True)
    return data + b"\n"


def _header(picture: Picture, copied: Path) -> ET.Element:
    root = ET.Element("annotation")
    _child(root, "folder", copied.parent.name)
    _child(root, "filename", copied.name)
    if picture.patient is not None:
        _child(root, "patient", picture.patient)
    size = ET.SubElement(root, "size")
    pixels = picture.pixels()
    for key, value in {"width": picture.width, "height": picture.height, "depth": pixels[0, 0].size}.items():
        _child(size, key, value)
    _child(root, "segmented", int(any(region.polygons or region.mask is not None for region in picture.regions)))
    return root


def _object(region: Region) -> ET.Element:
    item = ET.Element("object")
    _child(item, "name", region.label)
    for key, value in region.attributes.items():
        if _ELEMENT.fullmatch(key) and key not in PLACE:
            _child(item, key, value)
        else:
            _child(item, NAMED, value).set("name", key)
    for key, value in _FLAGS.items():
        if key not in region.attributes:
            _child(item, key, value).set(ADDED, "true")
    x0, y0, x1, y1 = region.bounds()
    box = ET.SubElement(item, "bndbox")
    for key, value in zip(CORNERS, plain(np.array([x0 + 1, y0 + 1, x1, y1])), strict=True):
        _child(box, key, value)
    _add_outline(item, region)
    return item


def _object_as_read(region: Region) -> ET.Element:
    item = ET.fromstring(region.shape["voc"])
    if region.mask is not None:  # it lay in a file of its own, which we do not write
        _add_outline(item, region)
    return item


def _add_outline(item: ET.Element, region: Region) -> None:
    for polygon in region.polygons if region.mask is None else trace(region.mask):
        outline = ET.SubElement(item, "polygon")
        for x, y in polygon:
            point = ET.SubElement(outline, "pt")
            for key, value in zip("xy", plain(np.array([x, y])), strict=True):
                _child(point, key, value)


def _child(parent: ET.Element, name: str, value: Any) -> ET.Element:
    """Add an element and return it; a text that would be read as something else is marked as a text."""
    element = ET.SubElement(parent, name)
    element.text = value if isinstance(value, str) else json.dumps(value)
    if isinstance(value, str) and value_of(element) != value:
        element.set(*TEXT)
    return element
