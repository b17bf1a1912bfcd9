"""Reading a data store of pictures as an annotated set: what was imported, and what annotators made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorseg.adapters.labels import PlainLabels
from tumorseg.adapters.picture_store import FILE, LAYOUT, TAG, labels_of
from tumorseg.adapters.sources import PICTURE_SUFFIXES, FileSource, suffix_of
from tumorseg.annotations.as_json import picture_from_json
from tumorseg.annotations.collect import Problems, is_below, size_on_disk
from tumorseg.annotations.json_file import as_object, load_json
from tumorseg.annotations.label_map import label_map, label_values, traced_regions
from tumorseg.annotations.types import Picture, PictureSet
from tumorseg.errors import InputError, NotFoundError, TumorSegError
from tumorseg.geometry import Grid, resample

if TYPE_CHECKING:
    from numpy.typing import NDArray


def fits(path: Path) -> bool:
    """Whether annotated pictures were imported there."""
    return (path / FILE).is_file() and "pictures" in as_object(load_json(path / FILE), path / FILE, "a data store")


def read(path: Path) -> PictureSet:
    """Read a data store; ``problems`` says whose annotation was traced anew, and which pictures came since.

    Raises:
        InputError: no store, or one of another version.
    """
    if not (path / FILE).is_file():
        raise InputError(f"expected {FILE} in {path}; make a data store with tumorseg import")
    value = as_object(load_json(path / FILE), path / FILE, "a data store")
    if value.get("tumorseg") != LAYOUT or "pictures" not in value:
        raise InputError(f"{path / FILE} has layout {value.get('tumorseg')}; expected {LAYOUT} with pictures")
    try:
        return _read(path, value)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, TumorSegError):
            raise
        # Only our own import writes it, so there is no telling what a damaged one was meant to say.
        raise InputError(f"{path / FILE} is damaged ({error!r}); restore it, or import the set again") from error


def _read(path: Path, value: dict[str, Any]) -> PictureSet:
    problems, labels = Problems(), labels_of(path)
    known: dict[str, int] = label_values(tuple(value["labels"]))
    pictures = []
    for entry in value["pictures"]:
        picture = picture_from_json(entry, path / entry["file"])
        if not is_below(path, picture.path):
            raise InputError(f"{path / FILE} names {entry['file']}, which is not in this folder")
        if size_on_disk(picture.path, problems) is not None:
            pictures.append(_as_it_is_now(picture, entry["image"], labels, known, problems))
    source = FileSource(path)
    for name in sorted(set(source.ids()) - {entry["image"] for entry in value["pictures"]}):
        picture_or_none = _added(name, source.local_file(name), labels, known, problems)
        pictures += [picture_or_none] if picture_or_none is not None else []
    seen = {region.label for picture in pictures for region in picture.regions}
    names = [*value["labels"], *sorted(seen - set(value["labels"]))]
    return PictureSet(path, "datastore", pictures, names, problems, value["about"])


def _as_it_is_now(
    picture: Picture, name: str, labels: PlainLabels, known: Mapping[str, int], problems: Problems
) -> Picture:
    """Return a picture as it was imported while its label still says the same, else as its label says."""
    found = _label(name, labels, known, (picture.height, picture.width))
    if found is None:
        if picture.labelled:
            problems.soft(picture.path, "label_removed", "its label was deleted since the import; it is not labelled")
            return _with_regions(picture, (), labelled=False)
        return picture
    voxels, names = found
    same_classes = names == {value: label for label, value in known.items()}
    if picture.labelled and same_classes and np.array_equal(voxels, label_map(picture, known)):
        return picture
    problems.soft(picture.path, "label_changed", "its label was changed since the import; its outlines are traced anew")
    return _with_regions(picture, traced_regions(voxels, names), labelled=True)


def _with_regions(picture: Picture, regions: tuple[Any, ...], *, labelled: bool) -> Picture:
    return replace(picture, regions=regions, labelled=labelled)


def _added(name: str, file: Path, labels: PlainLabels, known: Mapping[str, int], problems: Problems) -> Picture | None:
    """Return a picture that came into the store after the import."""
    if suffix_of(file) not in PICTURE_SUFFIXES:
        return None
    size = size_on_disk(file, problems)
    if size is None:
        return None
    problems.soft(file, "picture_added", "came into the data store after the import")
    found = _label(name, labels, known, (size[1], size[0]))
    regions = traced_regions(*found) if found is not None else ()
    return Picture(name, file, *size, regions, labelled=found is not None)


def _label(
    name: str, labels: PlainLabels, known: Mapping[str, int], shape: tuple[int, int]
) -> tuple[NDArray[Any], dict[int, str]] | None:
    """Return ``(H, W)`` values and value -> name of the final label of a picture, None where there is none.

    A viewer may have cut the map to where something is, or may number the labels anew: both are undone.
    """
    try:
        path = labels.path(name, TAG)
    except NotFoundError:
        return None
    voxels = _on_picture(path, shape)
    said = labels.info(name, TAG).get("label_info")
    names = {value: label for label, value in known.items()}
    if isinstance(said, list):
        told = {int(item["idx"]): str(item["name"]) for item in said if isinstance(item, dict) and "idx" in item}
        names = told or names
    renumbered = np.zeros_like(voxels)
    result = {value: label for label, value in known.items()}
    for value in np.unique(voxels[voxels > 0]).tolist():
        label = names.get(int(value), f"label {value}")
        target = next((number for number, other in result.items() if other == label), max(result, default=0) + 1)
        result[target] = label
        renumbered[voxels == value] = target
    return renumbered, result


def _on_picture(path: Path, shape: tuple[int, int]) -> NDArray[Any]:
    """Return the label map ``(H, W)`` on the grid of its picture."""
    from tumorseg.io import read_study

    image = read_study(path)
    grid = Grid((1, *shape), np.eye(4))
    layers = [resample(layer, image.grid, grid, linear=False) for layer in image.voxels]
    flat = layers[0]
    for layer in layers[1:]:
        flat = np.where(layer > 0, layer, flat)
    whole: NDArray[np.int64] = np.rint(flat[0]).astype(np.int64)
    return whole
