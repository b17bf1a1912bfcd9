"""Reading Pascal VOC: one XML file for each picture.

Everingham et al.: The Pascal Visual Object Classes Challenge. IJCV 88, 2010. ``Annotations/x.xml`` with
``JPEGImages/x.jpg``, or both in one folder; folders of a split may lie above. A ``bndbox`` counts pixels from 1 and
holds its last one: xmin 1, xmax 1 is the first column, our ``[0, 1)``. VOC knows no outline; a ``polygon`` of
``<pt><x/><y/></pt>`` in an object, as LabelMe writes it, is read, and ``SegmentationObject/x.png``, whose pixels
are the number of the object in the XML file.
"""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorseg.annotations.collect import Problems, picture_ids, pictures_beside, size_on_disk, split_of, unannotated
from tumorseg.annotations.image_file import is_picture
from tumorseg.annotations.outline import bounds_of_polygons, polygon_of
from tumorseg.annotations.types import Picture, PictureSet, Region
from tumorseg.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

PICTURES, XML, OBJECTS, SETS = "JPEGImages", "Annotations", "SegmentationObject", "ImageSets/Main"
_HEAD = 2048  # bytes that tell an XML file of VOC from another
CORNERS = ("xmin", "ymin", "xmax", "ymax")
#: Children of an object that say what and where it is; the others are the region's attributes.
PLACE = ("name", "bndbox", "polygon", "part")
#: Mark of an element whose text is a text, even where it reads like a number.
TEXT = ("type", "text")
#: Mark of what our writer adds because VOC wants it, though the annotation does not say it.
ADDED = "added"
#: Element of an attribute whose name cannot be an element's; it is in its ``name``.
NAMED = "attribute"


def fits(path: Path) -> bool:
    """Whether there is an XML file with an ``annotation``."""
    return any(b"<annotation" in file.open("rb").read(_HEAD) or not file.stat().st_size for file in _files(path))


def read(path: Path) -> PictureSet:
    """Read all XML files below a folder, and which part of the split ``ImageSets/Main`` says they belong to.

    Raises:
        InputError: there is none, or one is damaged.
    """
    files = _files(path)
    if not files:
        raise InputError(f"found no VOC annotations (*.xml) in {path}")
    problems = Problems()
    trees = {file: _parse(file) for file in files}
    places = {file: _picture_file(file, tree) for file, tree in trees.items()}
    others = pictures_beside(path, places.values())
    ids, splits = picture_ids(path, [*dict.fromkeys(places.values()), *others]), _splits(path)
    pictures: dict[Path, Picture | None] = {}
    for file, tree in trees.items():
        place = places[file]
        if place in pictures:
            problems.hard(file, "bad_shape", f"annotates {place.name} a second time; keep one file")
        else:
            pictures[place] = _picture(path, ids[place], place, (file, tree), splits.get(place.stem), problems)
    for file in others:
        pictures[file] = unannotated(path, file, ids[file], problems)
    return PictureSet(path, "voc", [p for p in pictures.values() if p is not None], None, problems)


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return []
    return sorted(file for file in path.rglob("*.xml") if not file.name.startswith("."))


def _parse(file: Path) -> ET.Element:
    try:
        root = ET.parse(file).getroot()
    except ET.ParseError as error:
        raise InputError(f"{file} is no valid XML ({error}); is it empty or cut off? Copy it again") from error
    if root.tag != "annotation":
        raise InputError(f"{file}: expected <annotation> as Pascal VOC writes it, got <{root.tag}>")
    return root


def _picture_file(file: Path, tree: ET.Element) -> Path:
    """Return where the picture is, or should be: by the file's name in the XML, else by that of the XML file."""
    name = Path((tree.findtext("filename") or "").replace("\\", "/")).name or f"{file.stem}.jpg"
    names = [name] if is_picture(Path(name)) else []
    for folder in (file.parent.parent / PICTURES, file.parent.parent / "images", file.parent):
        same = sorted(other for other in folder.glob("*") if other.stem == file.stem and is_picture(other))
        for place in [*(folder / name for name in names), *same]:
            if place.is_file():
                return place
    folder = file.parent.parent / PICTURES
    return (folder if folder.is_dir() else file.parent) / name


def _splits(root: Path) -> dict[str, str]:
    """Return picture name -> part of the split, from ``ImageSets/Main/{train,val,test}.txt``."""
    found: dict[str, str] = {}
    for split in ("train", "val", "test"):
        for file in root.rglob(f"{SETS}/{split}.txt"):
            lines = file.read_text(encoding="utf-8").splitlines()
            found |= {line.strip(): split for line in lines if line.strip()}
    return found


def _picture(
    root: Path, name: str, place: Path, said: tuple[Path, ET.Element], split: str | None, problems: Problems
) -> Picture | None:
    file, tree = said
    size = size_on_disk(place, problems)
    if size is None:
        return None
    told = (_whole(tree, "size/width"), _whole(tree, "size/height"))
    if 0 not in told and told != size:
        text = f"is {size[0]} x {size[1]} pixels, {file.name} says {told[0]} x {told[1]}; annotate this very picture"
        problems.hard(place, "size_mismatch", text)
        return None
    before = problems.hard_count
    masks = _object_masks(file, size, problems)
    regions = []
    for number, item in enumerate(tree.findall("object"), start=1):
        try:
            regions.append(read_region(item, masks == number if masks is not None else None))
        except InputError as error:
            problems.hard(file, "bad_shape", f"object {number}: {error}")
    if problems.hard_count > before:
        return None
    header = ET.Element("annotation")
    header.extend(child for child in tree if child.tag != "object")
    attributes: dict[str, Any] = {"voc": {"header": ET.tostring(header, "unicode"), "file": _below(root, file)}}
    attributes["voc"]["place"] = _below(root, place)
    split = split or split_of(root, place)
    if split:
        attributes["split"] = split
    return Picture(name, place, *size, tuple(regions), tree.findtext("patient") or None, attributes)


def _below(root: Path, file: Path) -> str:
    return file.relative_to(root).as_posix()


def _whole(tree: ET.Element, path: str) -> int:
    text = (tree.findtext(path) or "0").strip()
    return int(text) if text.isdigit() else 0


def _object_masks(file: Path, size: tuple[int, int], problems: Problems) -> NDArray[np.integer[Any]] | None:
    """Return ``(H, W)`` numbers of the objects of a picture, None where there is no such file."""
    from PIL import Image

    place = file.parent.parent / OBJECTS / f"{file.stem}.png"
    if not place.is_file():
        return None
    if size_on_disk(place, problems) != size:
        problems.hard(place, "size_mismatch", f"differs from its picture, which is {size[0]} x {size[1]} pixels")
        return None
    with Image.open(place) as opened:
        return np.asarray(opened) if opened.mode in ("P", "L", "I;16", "I") else None


def read_region(item: ET.Element, mask: NDArray[np.bool_] | None = None) -> Region:
    """Return the region of one ``object``; its mask counts where it has no polygon.

    Raises:
        InputError: no name, no box, or one that encloses nothing.
    """
    name = (item.findtext("name") or "").strip()
    if not name:
        raise InputError("it has no name; expected a class")
    polygons = tuple(_polygon(outline) for outline in item.findall("polygon"))
    box = _box(item) if item.find("bndbox") is not None or not polygons else None
    if polygons and box is not None and np.allclose(box, bounds_of_polygons(polygons), atol=1e-6):
        box = None  # it says nothing that the polygon does not say more exactly
    own = mask if mask is not None and mask.any() and not polygons else None
    others = [child for child in item if child.tag not in PLACE and child.get(ADDED) is None]
    attributes = {
        child.get("name", child.tag) if child.tag == NAMED else child.tag: value_of(child) for child in others
    }
    return Region(name, polygons, own, box, attributes, {"voc": ET.tostring(item, "unicode")})


def value_of(element: ET.Element) -> Any:
    """Return what an element says: a number or the like where it is spelled as JSON spells it, else a text."""
    if len(element):
        return ET.tostring(element, "unicode")
    text = element.text or ""
    if element.get(TEXT[0]) == TEXT[1]:
        return text
    try:
        value = json.loads(text)
    except ValueError:
        return text.strip()
    return value if json.dumps(value) == text.strip() else text.strip()


def _box(item: ET.Element) -> NDArray[np.float64]:
    try:
        xmin, ymin, xmax, ymax = (float(item.findtext(f"bndbox/{key}") or "") for key in CORNERS)
    except ValueError:
        raise InputError("expected a bndbox with the numbers xmin, ymin, xmax, ymax") from None
    box = np.array([xmin - 1, ymin - 1, xmax, ymax])
    if not (np.isfinite(box).all() and box[2] > box[0] and box[3] > box[1]):
        raise InputError(f"a box from {xmin:g}, {ymin:g} to {xmax:g}, {ymax:g} encloses nothing; remove or redraw it")
    return box


def _polygon(outline: ET.Element) -> NDArray[np.float64]:
    try:
        points = [(float(pt.findtext("x") or ""), float(pt.findtext("y") or "")) for pt in outline.findall("pt")]
    except ValueError:
        raise InputError("expected numbers as x and y of a polygon's points") from None
    return polygon_of("a polygon", np.array(points, float).reshape(-1, 2))
