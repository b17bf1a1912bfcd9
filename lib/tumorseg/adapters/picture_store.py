"""Annotated pictures as a data store that the server serves, and back.

The store is a folder of pictures with labels as :mod:`tumorseg.adapters.labels` keeps them. A label map has no room
for polygons, scores and overlaps: they lie beside it in ``annotations.tumorseg.json``, from which an export is exact.
Where an annotator changed a label since, the map on disk counts and is traced.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tumorseg.adapters.files import write_json
from tumorseg.adapters.labels import PlainLabels
from tumorseg.adapters.sources import LABELS_FOLDER, PICTURE_SUFFIXES
from tumorseg.annotations import study_image
from tumorseg.annotations.as_json import picture_to_json
from tumorseg.annotations.label_map import label_map, label_values
from tumorseg.annotations.types import Picture, PictureSet
from tumorseg.errors import InputError
from tumorseg.io.write import write_segmentation
from tumorseg.types import Segmentation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tumorseg.types import StudyImage

#: The annotations of a store, beside its pictures.
FILE = "annotations.tumorseg.json"
#: Version of that file's layout.
LAYOUT = 1
#: Folder of originals that the server cannot serve as they are; being hidden, it is not listed.
ORIGINALS = ".originals"
TAG = "final"

#: Called with how many pictures are done, of how many.
Progress = Callable[[int, int], object]


def write_store(pictures: PictureSet, folder: Path, progress: Progress | None = None) -> None:
    """Fill an empty folder with a data store of the set; every picture is decoded once, so that it can be served.

    Raises:
        InputError: a picture is damaged; it names the file.
    """
    values = label_values(pictures.labels)
    entries = []
    for done, picture in enumerate(pictures, start=1):
        image = study_image(picture)
        if image.grid.shape != (1, picture.height, picture.width):
            raise InputError(f"{picture.path} holds {image.grid.shape}; expected one picture (import it as a volume)")
        entry = {"image": store_id(picture), **_place(picture, image, folder)}
        entries.append({**entry, **picture_to_json(picture)})
        if picture.labelled:
            write_label(folder, entry["image"], image, label_map(picture, values), values)
        if progress is not None:
            progress(done, len(pictures))
    ids = [entry["image"] for entry in entries]
    if len(set(ids)) < len(ids):
        twice = next(name for name in ids if ids.count(name) > 1)
        raise InputError(f"two pictures would be called {twice!r} in the data store; rename one of them")
    value = {"tumorseg": LAYOUT, "labels": list(pictures.labels), "about": dict(pictures.about), "pictures": entries}
    (folder / FILE).write_text(json.dumps(value, indent=1), encoding="utf-8")


def store_id(picture: Picture) -> str:
    """Return what the server calls a picture: folders become ``__``, as in any folder that it serves."""
    return picture.id.replace("/", "__")


def write_label(
    folder: Path, name: str, image: StudyImage, voxels: NDArray[np.unsignedinteger[Any]], values: Mapping[str, int]
) -> None:
    """Write ``(H, W)`` voxels as the final label of a picture, with the names that viewers show."""
    place = folder / LABELS_FOLDER / TAG
    place.mkdir(parents=True, exist_ok=True)
    write_segmentation(place / f"{name}.nii.gz", Segmentation(voxels[None], image.grid, values), image)
    info = [{"name": label, "idx": value} for label, value in values.items()]
    write_json(place / f"{name}.info.json", {"label_info": info})


def labels_of(folder: Path) -> PlainLabels:
    """Return the labels of a store."""
    return PlainLabels(folder / LABELS_FOLDER)


def _place(picture: Picture, image: StudyImage, folder: Path) -> dict[str, str]:
    """Copy a picture into the store, byte for byte; one of a kind that is not served also as PNG."""
    suffix = picture.path.suffix.lower()
    if suffix in PICTURE_SUFFIXES:
        name = f"{store_id(picture)}{picture.path.suffix}"
        shutil.copyfile(picture.path, folder / name)
        return {"file": name}
    from PIL import Image

    name = f"{ORIGINALS}/{store_id(picture)}{picture.path.suffix}"
    (folder / ORIGINALS).mkdir(exist_ok=True)
    shutil.copyfile(picture.path, folder / name)
    Image.fromarray(picture.pixels()).save(folder / f"{store_id(picture)}.png")
    return {"file": name}
