"""Reading annotations of the VGG Image Annotator (VIA), versions 1 and 2, JSON and CSV.

https://www.robots.ox.ac.uk/~vgg/software/via/ A JSON file is ``{key: {filename, size, regions, file_attributes}}``,
its regions a list (version 2) or an object ``{"0": ...}`` (version 1); a project file keeps the same under
``_via_img_metadata``. A folder is understood where

- it holds the pictures and one annotation file, or several that do not speak of the same picture;
- the annotation file lies one folder above and names pictures of this folder;
- its folders ``train``, ``val`` and ``test`` are each such a folder.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tumorseg.annotations.collect import (
    Problems,
    is_below,
    picture_ids,
    pictures_beside,
    size_on_disk,
    split_of,
    unannotated,
)
from tumorseg.annotations.json_file import as_object, load_json
from tumorseg.annotations.types import DEFAULT_LABEL, Picture, PictureSet, Region
from tumorseg.annotations.via_shapes import NO_AREA, class_of, read_region
from tumorseg.errors import InputError, NotFoundError

_PROJECT = "_via_img_metadata"
_CSV_START = ("filename,", "#filename,")
_ENTRY = ("filename", "regions", "file_attributes")
_HEAD = 4096  # bytes that tell a CSV of VIA from another


@dataclass(frozen=True)
class Entry:
    """What one annotation file says of one picture.

    Attributes:
        annotations: the file that says it.
        filename: the picture, as written there.
        regions: (shape_attributes, region_attributes) of each region.
        attributes: file_attributes.
        said: what is needed to write the entry as it was: its key, whether regions are an object, other members.
    """

    annotations: Path
    filename: str
    regions: tuple[tuple[Mapping[str, Any], Mapping[str, Any]], ...]
    attributes: Mapping[str, Any]
    said: Mapping[str, Any] = field(default_factory=dict)


def fits(path: Path) -> bool:
    """Whether there are VIA annotations; a JSON file beside pictures that is no JSON at all is an error."""
    return any(_is_via(file) for file in _annotation_files(path))


def read(path: Path) -> PictureSet:
    """Read a folder, or one annotation file with the pictures beside it.

    Raises:
        InputError: no annotation file, or one that is damaged, empty or of another kind.
    """
    files = [file for file in _annotation_files(path) if _is_via(file)]
    root = path if path.is_dir() else path.parent
    if not files:
        raise InputError(f"found no VIA annotations (*.json, *.csv) in {path}")
    entries = [entry for file in files for entry in read_entries(file)]
    if path.is_dir() and all(file.parent == path.parent for file in files):
        entries = [entry for entry in entries if _find(entry, root).is_file()]  # an outer file speaks of others too
        if not entries:
            raise InputError(f"{files[0]} names no picture in {path}; give the folder that it speaks of")
    problems = Problems()
    pictures = _pictures(root, entries, problems)
    labels = sorted({region.label for picture in pictures for region in picture.regions}) or [DEFAULT_LABEL]
    projects = {_name(file, root): project for file in files if (project := _project(file))}
    return PictureSet(root, "via", pictures, labels, problems, {"via": projects} if projects else {})


def read_entries(file: Path) -> list[Entry]:
    """Read one annotation file, whatever its version."""
    entries = list(_csv_entries(file) if file.suffix.lower() == ".csv" else _json_entries(file))
    if not entries:
        raise InputError(f"{file} annotates no picture; expected the export of a VIA project with pictures")
    return entries


def _annotation_files(path: Path) -> list[Path]:
    """List candidates: the file itself; those in the folder; below it; in the folder above."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise NotFoundError(f"{path} does not exist; expected a folder of annotated pictures")
    here = _candidates(path.glob("*"))
    return here or _candidates(path.glob("*/*")) or [f for f in _candidates(path.parent.glob("*")) if _is_sound(f)]


def _is_sound(file: Path) -> bool:
    """Whether a file above the folder, which may have nothing to do with it, is VIA's."""
    try:
        return _is_via(file)
    except InputError:
        return False


def _candidates(files: Iterator[Path]) -> list[Path]:
    return sorted(
        f for f in files if f.suffix.lower() in (".json", ".csv") and not f.name.startswith(".") and f.is_file()
    )


def _is_via(file: Path) -> bool:
    if file.suffix.lower() == ".csv":
        with file.open("rb") as opened:
            head = opened.read(_HEAD).decode("utf-8", "replace").lstrip("\ufeff")
        return head.startswith(_CSV_START) and "region_shape_attributes" in head
    value = load_json(file)
    if not isinstance(value, dict):
        return False
    return _PROJECT in value or not value or any(isinstance(v, dict) and "regions" in v for v in value.values())


def _json_entries(file: Path) -> Iterator[Entry]:
    value = as_object(load_json(file), file, "VIA annotations")
    for key, item in as_object(value.get(_PROJECT, value), file, _PROJECT).items():
        picture = as_object(item, file, f"the entry {key!r}")
        if not isinstance(picture.get("filename"), str) or not picture["filename"]:
            raise InputError(f"{file}: the entry {key!r} has no filename; expected the name of a picture")
        regions = picture.get("regions", [])
        if not isinstance(regions, (list, dict)):
            raise InputError(f"{file}: the regions of {key!r} are {regions!r}; expected a list or an object")
        listed = list(regions.values()) if isinstance(regions, dict) else regions
        attributes = as_object(picture.get("file_attributes") or {}, file, f"file_attributes of {key!r}")
        said: dict[str, Any] = {"key": key, "object": isinstance(regions, dict)}
        said["more"] = {name: value for name, value in picture.items() if name not in _ENTRY}
        pairs = tuple(_pair(file, key, region) for region in listed)
        yield Entry(file, picture["filename"], pairs, attributes, said)


def _pair(file: Path, key: str, region: Any) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    item = as_object(region, file, f"a region of {key!r}")
    shape = as_object(item.get("shape_attributes"), file, f"shape_attributes of {key!r}")
    return shape, as_object(item.get("region_attributes") or {}, file, f"region_attributes of {key!r}")


def _csv_entries(file: Path) -> Iterator[Entry]:
    """Gather the lines of a CSV, one for each region, by picture; a picture without regions has one line too."""
    regions: dict[str, list[tuple[Mapping[str, Any], Mapping[str, Any]]]] = {}
    attributes: dict[str, Mapping[str, Any]] = {}
    with file.open(newline="", encoding="utf-8-sig") as opened:
        for row in csv.DictReader(opened):
            name = row.get("filename") or row.get("#filename") or ""
            line = f"{file} (line of {name!r})"
            shape = _cell(row, "region_shape_attributes", line)
            attributes[name] = _cell(row, "file_attributes", line)
            regions.setdefault(name, [])
            if shape:
                regions[name].append((shape, _cell(row, "region_attributes", line)))
    for name, listed in regions.items():
        yield Entry(file, name, tuple(listed), attributes[name])


def _cell(row: Mapping[str, Any], column: str, line: str) -> dict[str, Any]:
    try:
        value = json.loads(row.get(column) or "{}")
    except ValueError as error:
        raise InputError(f"{line}: {column} is no valid JSON ({error})") from error
    return as_object(value, Path(line), column)


def _find(entry: Entry, root: Path) -> Path:
    """Return where the picture of an entry is, or should be: beside the annotations, or anywhere in the folder."""
    name = entry.filename.replace("\\", "/").rpartition("/")[2] if "://" in entry.filename else entry.filename
    tries = [folder / name for folder in (entry.annotations.parent, root) if folder.is_relative_to(root)]
    tries += [root / Path(name).name]
    for place in tries:
        if is_below(root, place) and place.is_file():
            return place
    below = sorted(entry.annotations.parent.glob(f"*/{Path(name).name}")) if len(tries) > 2 else []
    # Where it should be; a name that leads elsewhere is looked for, and missed, by its last part.
    return below[0] if len(below) == 1 else next(place for place in tries if is_below(root, place))


def _name(file: Path, root: Path) -> str:
    """Return how an annotation file is called from the set's folder; one that lies above it as if it were inside."""
    return file.relative_to(root).as_posix() if file.is_relative_to(root) else file.name


def _project(file: Path) -> dict[str, Any]:
    """Return what a project file says besides the pictures."""
    value = load_json(file) if file.suffix.lower() == ".json" else {}
    return {key: item for key, item in value.items() if key != _PROJECT} if _PROJECT in value else {}


def _pictures(root: Path, entries: list[Entry], problems: Problems) -> list[Picture]:
    """Return the annotated pictures in the order of the annotations, then those that no annotation names."""
    found = [(entry, _find(entry, root)) for entry in entries]
    named = list(dict.fromkeys(file for _, file in found))
    others = pictures_beside(root, named)
    ids = picture_ids(root, named + others)
    pictures: dict[Path, Picture | None] = {}
    for entry, file in found:
        if file in pictures:
            problems.hard(entry.annotations, "bad_shape", f"annotates {entry.filename} a second time; keep one entry")
        else:
            pictures[file] = _picture(root, ids[file], file, entry, problems)
    for file in others:
        pictures[file] = unannotated(root, file, ids[file], problems)
    return [picture for picture in pictures.values() if picture is not None]


def _picture(root: Path, name: str, file: Path, entry: Entry, problems: Problems) -> Picture | None:
    size, split = size_on_disk(file, problems), split_of(root, file)
    if size is None:
        return None
    attributes: dict[str, Any] = {"split": split} if split else {}
    before = problems.hard_count
    regions, others = _regions(file, entry, problems)
    if problems.hard_count > before:
        return None
    attributes["via"] = {
        **entry.said,
        "file": _name(entry.annotations, root),
        "filename": entry.filename,
        "file_attributes": dict(entry.attributes),
        "others": others,
    }
    patient = entry.attributes.get("patient") or entry.attributes.get("patient_id")
    return Picture(
        id=name,
        path=file,
        width=size[0],
        height=size[1],
        regions=tuple(regions),
        patient=str(patient) if patient else None,
        attributes=attributes,
        labelled=bool(entry.regions),
    )


def _regions(file: Path, entry: Entry, problems: Problems) -> tuple[list[Region], list[Any]]:
    """Return the regions, and what marks none as ``[place in the list, shape, attributes]``."""
    regions: list[Region] = []
    others: list[Any] = []
    for number, (shape, attributes) in enumerate(entry.regions):
        where = f"region {number + 1} in {entry.annotations.name}"
        if shape.get("name") in NO_AREA:
            problems.soft(file, "no_area_shape", f"{where} is a {shape['name']}; it marks no region and is left out")
            others.append([number, dict(shape), dict(attributes)])
            continue
        try:
            regions.append(read_region(shape, attributes))
        except InputError as error:
            problems.hard(file, "bad_shape", f"{where}: {error}")
            continue
        if class_of(attributes) is None and any(class_of(other) for _, other in entry.regions):
            problems.soft(file, "no_class", f"{where} has no class, others have; it counts as {DEFAULT_LABEL!r}")
    return regions, others
