"""Reading COCO: JSON with ``images``, ``annotations`` and ``categories``.

Lin et al.: Microsoft COCO: Common Objects in Context. ECCV 2014; https://cocodataset.org/#format-data. A segmentation
is a list of polygons ``[x, y, x, y, ...]`` or a run-length object; a box is ``[x, y, width, height]``. The JSON files
lie in the folder, in ``annotations/`` or in the folders of a split; pictures anywhere below the folder.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tumorseg.annotations.collect import (
    Problems,
    is_below,
    picture_ids,
    pictures_beside,
    size_on_disk,
    split_of,
    unannotated,
)
from tumorseg.annotations.image_file import pictures_below
from tumorseg.annotations.json_file import as_list, as_object, load_json
from tumorseg.annotations.outline import polygon_of
from tumorseg.annotations.rle import decode
from tumorseg.annotations.types import Picture, PictureSet, Region
from tumorseg.errors import InputError, NotFoundError

_LISTS = ("images", "annotations", "categories")
#: Members of an annotation that say where it is; the others are the region's attributes.
PLACE = ("id", "image_id", "category_id", "segmentation", "bbox", "area")


#: An annotation and the name of its class, None where it names one that there is not.
_Named = tuple[str | None, dict[str, Any]]


def fits(path: Path) -> bool:
    """Whether there is a JSON file that lists images and annotations."""
    return any(_is_coco(file) for file in _json_files(path))


def read(path: Path) -> PictureSet:
    """Read all COCO files of a folder, or one with the pictures beside it.

    Raises:
        InputError: no COCO file, or one that is damaged or empty.
    """
    files = [file for file in _json_files(path) if _is_coco(file)]
    root = path if path.is_dir() else path.parent
    if not files:
        raise InputError(f"found no COCO annotations (JSON with images and annotations) in {path}")
    problems, labels, about = Problems(), list[str](), dict[str, Any]()
    on_disk = {file: pictures_below(file.parent if path.is_file() else root) for file in files}
    found: list[tuple[Path, Mapping[str, Any], Path]] = []
    values = {}
    for file in files:
        value = values[file] = _value(file)
        name = file.relative_to(root).as_posix()
        about[name] = {key: item for key, item in value.items() if key not in ("images", "annotations")}
        labels += [str(category["name"]) for category in value["categories"]]
        found += [(file, image, _find(image, file, root, on_disk[file])) for image in value["images"]]
    named = list(dict.fromkeys(place for _, _, place in found))
    others = pictures_beside(root, named)
    ids = picture_ids(root, named + others)
    regions = {file: _by_image(file, value, problems) for file, value in values.items()}
    pictures: dict[Path, Picture | None] = {}
    for file, image, place in found:
        if place in pictures:
            problems.hard(file, "bad_shape", f"lists {image['file_name']} a second time; keep one entry")
        else:
            own = regions[file].get(image["id"], [])
            pictures[place] = _picture(root, ids[place], place, file, image, own, problems)
    for place in others:
        pictures[place] = unannotated(root, place, ids[place], problems)
    kept = [picture for picture in pictures.values() if picture is not None]
    return PictureSet(root, "coco", kept, labels, problems, {"coco": about})


def _json_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if path.suffix.lower() == ".json" else []
    if not path.is_dir():
        raise NotFoundError(f"{path} does not exist; expected a folder of annotated pictures")
    found = [*path.glob("*.json"), *path.glob("*/*.json")]
    return sorted(file for file in found if not file.name.startswith("."))


def _is_coco(file: Path) -> bool:
    value = load_json(file)
    return isinstance(value, dict) and all(isinstance(value.get(name), list) for name in ("images", "annotations"))


def _is_id(value: Any) -> bool:
    return isinstance(value, (int, str)) and not isinstance(value, bool)


def _value(file: Path) -> dict[str, Any]:
    value = as_object(load_json(file), file, "COCO annotations")
    for name in _LISTS:
        for item in as_list(value.get(name), file, name):
            as_object(item, file, f"an entry of {name}")
    for name, text in {"images": "file_name", "categories": "name"}.items():
        for item in value[name]:
            if not _is_id(item.get("id")) or not isinstance(item.get(text), str) or not Path(item[text]).name:
                raise InputError(f"{file}: an entry of {name} lacks an id or a {text}: {str(item)[:80]}")
    if not value["images"]:
        raise InputError(f"{file} lists no images; expected annotated pictures")
    return value


def _find(image: Mapping[str, Any], file: Path, root: Path, on_disk: list[Path]) -> Path:
    """Return where a picture is, or should be: named from the JSON or the folder, else the only one of this name."""
    name = str(image["file_name"]).replace("\\", "/")
    for place in (file.parent / name, root / name):
        if is_below(root, place) and place.is_file():
            return place
    tail = tuple(name.split("/"))
    same = [other for other in on_disk if other.parts[-len(tail) :] == tail]
    if len(same) > 1:  # train/0.jpg and val/0.jpg: the file's own name says which
        told = [other for other in same if (split := split_of(root, other)) and split in file.stem.lower()]
        same = told or same
    missing = file.parent / name
    return same[0] if len(same) == 1 else missing if is_below(root, missing) else file.parent / Path(name).name


def _by_image(file: Path, value: Mapping[str, Any], problems: Problems) -> dict[Any, list[_Named]]:
    """Return image id -> (class name, annotation); what speaks of an unknown image is noted."""
    names = {category["id"]: str(category["name"]) for category in value["categories"]}
    images = {image["id"] for image in value["images"]}
    found: dict[Any, list[_Named]] = defaultdict(list)
    for item in value["annotations"]:
        image, category = item.get("image_id"), item.get("category_id")
        if not _is_id(image) or image not in images:
            problems.hard(
                file, "missing_picture", f"annotation {item.get('id')} is of image {image}, which is not listed"
            )
        else:
            found[image].append((names.get(category) if _is_id(category) else None, item))
    return found


def _picture(
    root: Path,
    name: str,
    place: Path,
    file: Path,
    image: Mapping[str, Any],
    annotations: list[_Named],
    problems: Problems,
) -> Picture | None:
    size = size_on_disk(place, problems)
    if size is None:
        return None
    told = (image.get("width", size[0]), image.get("height", size[1]))
    if told != size:
        text = f"is {size[0]} x {size[1]} pixels, {file.name} says {told[0]} x {told[1]}; annotate this very picture"
        problems.hard(place, "size_mismatch", text)
        return None
    regions = []
    before = problems.hard_count
    for label, item in annotations:
        if label is None:
            text = f"annotation {item.get('id')} in {file.name} is of the unknown category {item.get('category_id')}"
            problems.hard(place, "unknown_class", text)
            continue
        try:
            regions.append(read_region(label, item, size))
        except InputError as error:
            kind = "size_mismatch" if "mask of" in str(error) else "bad_shape"
            problems.hard(place, kind, f"annotation {item.get('id')} in {file.name}: {error}")
    if problems.hard_count > before:
        return None
    places = {"file": file.relative_to(root).as_posix(), "place": place.relative_to(root).as_posix()}
    attributes: dict[str, Any] = {"coco": {**places, "image": dict(image)}}
    split = split_of(root, place)
    if split:
        attributes["split"] = split
    patient = image.get("patient_id", image.get("patient"))
    return Picture(name, place, *size, tuple(regions), None if patient is None else str(patient), attributes)


def read_region(label: str, item: Mapping[str, Any], size: tuple[int, int]) -> Region:
    """Return the region of one annotation on a picture of (width, height).

    Raises:
        InputError: nothing says where it is, or an outline encloses nothing.
    """
    outline = item.get("segmentation") or []
    box = _box(item.get("bbox"))
    polygons: tuple[Any, ...] = ()
    mask = None
    if isinstance(outline, Mapping):
        mask = decode(outline, (size[1], size[0]))
    elif isinstance(outline, list):
        polygons = tuple(_polygon(points) for points in outline)
    else:
        raise InputError(f"expected a segmentation as polygons or a run-length object, got {outline!r}")
    if mask is None and not polygons and box is None:
        raise InputError("it has neither segmentation nor bbox; remove it or draw it")
    attributes = {key: value for key, value in item.items() if key not in PLACE}
    shape = {key: item[key] for key in PLACE if key in item and key not in ("image_id", "category_id")}
    return Region(label, polygons, mask, box, attributes, {"coco": shape})


def _polygon(points: Any) -> Any:
    try:
        flat = np.asarray(points, float)
    except (TypeError, ValueError):
        raise InputError(f"expected a polygon [x, y, x, y, ...], got {str(points)[:60]}") from None
    if flat.ndim != 1 or len(flat) % 2:
        raise InputError(f"expected a polygon [x, y, x, y, ...], got {flat.shape} numbers")
    return polygon_of("a polygon", flat.reshape(-1, 2))


def _box(values: Any) -> Any:
    """Return ``x0, y0, x1, y1`` of ``[x, y, width, height]``, None where there is none."""
    if not values:
        return None
    try:
        x, y, width, height = (float(value) for value in values)
    except (TypeError, ValueError):
        raise InputError(f"expected a bbox [x, y, width, height], got {str(values)[:60]}") from None
    if not (width > 0 and height > 0):
        raise InputError(f"a bbox of {width:g} x {height:g} encloses nothing; remove or redraw it")
    return np.array([x, y, x + width, y + height])
