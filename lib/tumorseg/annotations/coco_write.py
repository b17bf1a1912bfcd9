"""Writing COCO: polygons where there are polygons, else compressed run-length masks, else boxes alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tumorseg.annotations.place import copy_picture, inside
from tumorseg.annotations.rle import encode
from tumorseg.annotations.types import Picture, PictureSet, Region
from tumorseg.annotations.via_shapes import plain

#: The annotation file of pictures that did not come from COCO.
FILE = "annotations.json"


def write(pictures: PictureSet, folder: Path) -> None:
    """Write the pictures under their ids and the JSON files that they came from, else one beside them.

    Ids are kept where they were read, so that results which speak of them still fit.
    """
    by_file: dict[str, list[Picture]] = {}
    for picture in pictures:
        if picture.labelled:
            by_file.setdefault(_file_of(picture), []).append(picture)
        else:
            copy_picture(picture, folder)
    for name, own in by_file.items():
        about = pictures.about.get("coco", {}).get(name, {})
        categories = _categories(pictures.labels, about.get("categories", []))
        value = {**about, **_lists(own, categories, folder), "categories": categories}
        inside(folder, name).write_text(json.dumps(value), encoding="utf-8")


def _file_of(picture: Picture) -> str:
    return str(picture.attributes["coco"]["file"]) if "coco" in picture.attributes else FILE


def _categories(labels: tuple[str, ...], known: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the categories that were read, and further ones for further labels."""
    names = {category["name"] for category in known}
    first = max((int(category["id"]) for category in known), default=0) + 1
    new = [label for label in labels if label not in names]
    return [*known, *({"id": first + number, "name": label} for number, label in enumerate(new))]


def _lists(pictures: list[Picture], categories: list[dict[str, Any]], folder: Path) -> dict[str, Any]:
    """Return ``images`` and ``annotations``; what has no id yet gets one behind those that have."""
    numbers = {category["name"]: category["id"] for category in categories}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    next_image = _first_free([picture.attributes.get("coco", {}).get("image", {}).get("id") for picture in pictures])
    next_region = _first_free([r.shape.get("coco", {}).get("id") for picture in pictures for r in picture.regions])
    for picture in pictures:
        copied = copy_picture(picture, folder, picture.attributes.get("coco", {}).get("place"))
        image = picture.attributes.get("coco", {}).get("image")
        if image is None:
            name = copied.relative_to(folder).as_posix()
            image = {"id": next_image, "file_name": name, "width": picture.width, "height": picture.height}
            image |= {"patient_id": picture.patient} if picture.patient is not None else {}
            next_image += 1
        images.append(dict(image))
        for region in picture.regions:
            place = _place(region, picture)
            if "id" not in place:
                place, next_region = {"id": next_region, **place}, next_region + 1
            said = {"image_id": image["id"], "category_id": numbers[region.label]}
            annotations.append({**region.attributes, **place, **said})
    return {"images": images, "annotations": annotations}


def _first_free(ids: list[Any]) -> int:
    return max((number for number in ids if isinstance(number, int)), default=0) + 1


def _place(region: Region, picture: Picture) -> Mapping[str, Any]:
    """Return segmentation, bbox and area of a region, as they were read where they came from COCO."""
    if "coco" in region.shape:
        return dict(region.shape["coco"])
    x0, y0, x1, y1 = region.bounds()
    place: dict[str, Any] = {"bbox": plain_box(x0, y0, x1 - x0, y1 - y0)}
    if region.mask is not None:
        place["segmentation"] = encode(region.mask)
    else:
        place["segmentation"] = [plain(polygon.reshape(-1)) for polygon in region.polygons]
    area = int(region.bitmap(picture.height, picture.width).sum())
    return {**place, "area": area, **({} if "iscrowd" in region.attributes else {"iscrowd": 0})}


def plain_box(*values: float) -> list[int | float]:
    """Return numbers for JSON, whole ones without a point."""
    import numpy as np

    return plain(np.array(values))
