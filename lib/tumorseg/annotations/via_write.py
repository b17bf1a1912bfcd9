"""Writing annotations of the VGG Image Annotator 2, and what was read from version 1 as it was."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tumorseg.annotations.place import copy_picture
from tumorseg.annotations.types import DEFAULT_LABEL, Picture, PictureSet, Region
from tumorseg.annotations.via_shapes import class_of, shape_of

#: The annotation file of pictures that did not come from VIA.
FILE = "via_region_data.json"
#: The attribute that holds the class of a region that did not come from VIA.
CLASS = "class"
_COLUMNS = (
    "filename",
    "file_size",
    "file_attributes",
    "region_count",
    "region_id",
    "region_shape_attributes",
    "region_attributes",
)


def write(pictures: PictureSet, folder: Path) -> None:
    """Write the pictures under their ids and the annotation files that they came from, else one.

    A region of several polygons becomes several; a mask is traced.
    """
    files: dict[str, dict[str, Any]] = {}
    for picture in pictures:
        said = picture.attributes.get("via")
        name = said["file"] if said else FILE
        copied = copy_picture(picture, folder, name=_place(said))
        if said is None and not picture.labelled:
            continue  # not in any file before, so VIA would not know it either
        key, entry = _entry(picture, copied, folder / Path(name).parent)
        files.setdefault(name, {})[key] = entry
    for name, entries in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        project = pictures.about.get("via", {}).get(name)
        value = {**project, "_via_img_metadata": entries} if project else entries
        target.write_text(_csv(entries) if target.suffix.lower() == ".csv" else _json(value), encoding="utf-8")


def _json(value: Any) -> str:
    """Return JSON spelled as a browser spells it, which is what VIA runs in."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _place(said: Mapping[str, Any] | None) -> str | None:
    """Return where a picture from VIA lay, below the folder of the set."""
    if not said or "://" in said["filename"] or Path(said["filename"]).is_absolute():
        return None
    place = Path(said["file"]).parent / said["filename"].replace("\\", "/")
    return None if ".." in place.parts else place.as_posix()


def _entry(picture: Picture, copied: Path, folder: Path) -> tuple[str, dict[str, Any]]:
    """Return key and value of a picture in an annotation file that lies in ``folder``."""
    regions = [item for region in picture.regions for item in _region(region)]
    said = picture.attributes.get("via")
    if said is None:
        name, size = copied.relative_to(folder).as_posix(), copied.stat().st_size
        return f"{name}{size}", {"filename": name, "size": size, "regions": regions, "file_attributes": {}}
    for place, shape, attributes in said["others"]:
        regions.insert(place, {"shape_attributes": shape, "region_attributes": attributes})
    named: Any = {str(number): region for number, region in enumerate(regions)} if said.get("object") else regions
    own = {"filename": said["filename"], "regions": named, "file_attributes": said["file_attributes"]}
    return said.get("key", said["filename"]), {**said.get("more", {}), **own}


def _region(region: Region) -> list[dict[str, Any]]:
    from tumorseg.annotations.trace import trace

    attributes = dict(region.attributes)
    if (class_of(attributes) or DEFAULT_LABEL) != region.label:
        attributes[CLASS] = region.label
    if "via" in region.shape or (region.mask is None and not region.polygons):
        shapes = [shape_of(region)]
    else:
        polygons = region.polygons if region.mask is None else trace(region.mask)
        shapes = [shape_of(Region(region.label, (polygon,))) for polygon in polygons]
    return [{"shape_attributes": shape, "region_attributes": attributes} for shape in shapes]


def _csv(entries: Mapping[str, Any]) -> str:
    """Return the lines of a CSV file, one for each region, or one for a picture without."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    for entry in entries.values():
        regions = entry["regions"]
        first = [entry["filename"], entry.get("size", ""), json.dumps(entry["file_attributes"]), len(regions)]
        if not regions:
            writer.writerow([*first, 0, "{}", "{}"])
        for number, region in enumerate(regions):
            shape, attributes = region["shape_attributes"], region["region_attributes"]
            writer.writerow([*first, number, json.dumps(shape), json.dumps(attributes)])
    return text.getvalue()
