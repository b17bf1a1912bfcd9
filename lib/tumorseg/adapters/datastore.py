"""MONAI Label's Datastore over an image source and a label store.

Both MONAI Label's own server and ours speak to this class; it holds nothing that another process could find stale
except who was shown which image, which is advice for active learning only.
"""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monailabel.interfaces.datastore import Datastore, DefaultLabelTag

from tumorseg.adapters.grids import ImagePlaces
from tumorseg.adapters.labels import LOCAL_AUTHOR, LabelStore
from tumorseg.adapters.sources import ImageSource
from tumorseg.errors import InputError
from tumorseg.labels.layout import description
from tumorseg.labels.types import LabelVersion, Provenance

FINAL = DefaultLabelTag.FINAL.value
#: In a label's info: whether its voxels were compared with the image's; absent where they were.
GEOMETRY, UNCHECKED = "geometry", "unchecked"
#: Characters that may be noted on one image: notes are kept in memory.
_NOTE_LENGTH = 1 << 16


class StudyDatastore(Datastore):  # type: ignore[misc]
    """Images of a source with their labels; ids and tags are looked up or checked before use."""

    def __init__(self, source: ImageSource, labels: LabelStore) -> None:
        self.source = source
        self.labels = labels
        self._name, self._description = "studies", ""
        self._image_info: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()
        self.places = ImagePlaces(source)
        self._counted: tuple[object, dict[str, int], int] | None = None

    def name(self) -> str:
        """Return the name of the store."""
        return self._name

    def set_name(self, name: str) -> None:
        """Set the name of the store, for as long as the server runs."""
        self._name = name

    def description(self) -> str:
        """Return the description of the store."""
        return self._description

    def set_description(self, description: str) -> None:
        """Set the description of the store, for as long as the server runs."""
        self._description = description

    def list_images(self) -> list[str]:
        """List the ids of the images that are offered for labelling."""
        return self.source.ids()

    def datalist(self, full_path: bool = True) -> list[dict[str, Any]]:
        """List image and label files of every image with a final label; "no lesion" is one."""
        pairs = []
        for image_id in self.get_labeled_images():
            image, label = self.source.local_file(image_id), self.labels.path(image_id, FINAL)
            pairs.append({"image": str(image), "label": str(label)})
        if full_path:
            return pairs
        return [{"image": Path(pair["image"]).name, "label": Path(pair["label"]).name} for pair in pairs]

    def get_labels_by_image_id(self, image_id: str) -> dict[str, str]:
        """Return tag -> label id; a label has the id of its image."""
        return dict.fromkeys(self.labels.tags(self.source.entry(image_id).id), image_id)

    def get_label_by_image_id(self, image_id: str, tag: str) -> str:
        """Return the label's id, or ``""`` where there is none."""
        return self.get_labels_by_image_id(image_id).get(_text(tag), "")

    def get_image(self, image_id: str, params: Any = None) -> Any:
        """Return the image's file as a stream."""
        return io.BytesIO(self.source.local_file(image_id).read_bytes())

    def get_image_uri(self, image_id: str) -> str:
        """Return a file on this computer that Slicer can open."""
        return str(self.source.local_file(image_id))

    def get_label(self, label_id: str, label_tag: str, params: Any = None) -> Any:
        """Return the label's file as a stream."""
        return io.BytesIO(Path(self.get_label_uri(label_id, label_tag)).read_bytes())

    def get_label_uri(self, label_id: str, label_tag: str) -> str:
        """Return the label's file."""
        return str(self.labels.path(self.source.entry(label_id).id, _text(label_tag)))

    def get_image_info(self, image_id: str) -> dict[str, Any]:
        """Return what is known about the image."""
        entry = self.source.entry(image_id)
        with self._lock:
            return {**entry.info, **self._image_info.get(image_id, {})}

    def get_label_info(self, label_id: str, label_tag: str) -> dict[str, Any]:
        """Return what was said about the label."""
        return self.labels.info(self.source.entry(label_id).id, _text(label_tag))

    def get_labeled_images(self, label_tag: str | None = None, labels: list[str] | None = None) -> list[str]:
        """List the images with a label of this tag (``final`` where none is given); "no lesion" is one."""
        labelled = self.labels.labelled_by_tag().get(_text(label_tag or FINAL), frozenset())
        return [image_id for image_id in self.list_images() if image_id in labelled]

    def get_unlabeled_images(self, label_tag: str | None = None, labels: list[str] | None = None) -> list[str]:
        """List the images without a label of this tag (``final`` where none is given), or with rejected ones alone."""
        done = self.labels.done(_text(label_tag or FINAL))
        return [image_id for image_id in self.list_images() if image_id not in done]

    def get_dataset_archive(self, limit_cases: int | None) -> str:
        """Refuse: whole data sets are not sent over the network."""
        raise InputError("this server does not send its data set: copy the studies folder")

    def refresh(self) -> None:
        """Take over what other tools put among the labels; lookups do so by themselves within a second."""
        self.labels.history.adopt()

    def add_image(self, image_id: str, image_filename: str, image_info: dict[str, Any]) -> str:
        """Take a copy of a new image (of files only; a DICOM store takes DICOM)."""
        entry = self.source.add(image_id or Path(image_filename).name.split(".")[0], Path(image_filename))
        self.update_image_info(entry.id, image_info or {})
        return entry.id

    def remove_image(self, image_id: str) -> None:
        """Refuse: an annotation server does not delete studies."""
        raise InputError("this server does not delete images: remove them from the studies folder")

    def save_label(self, image_id: str, label_filename: str, label_tag: str, label_info: dict[str, Any]) -> str:
        """Keep a label of the image under the tag and return its id."""
        return self.keep_label(image_id, _text(label_tag or FINAL), Path(label_filename), label_info or {}).image

    def keep_label(
        self,
        image_id: str,
        tag: str,
        file: Path,
        info: Mapping[str, Any],
        provenance: Provenance = LOCAL_AUTHOR,
        *,
        expected_parent: str | None = None,
    ) -> LabelVersion:
        """Keep a label of the image as a new version; one that does not lie on the image's voxels is refused.

        Where the image cannot be read now the label is kept all the same, and its info says that nobody compared them.
        """
        entry = self.source.entry(image_id)
        place = self.places.of(entry.id)
        if place is None:
            info = {**info, GEOMETRY: UNCHECKED}
        return self.labels.save(entry.id, tag, file, info, provenance, place=place, expected_parent=expected_parent)

    def remove_label(self, label_id: str, label_tag: str, provenance: Provenance = LOCAL_AUTHOR) -> None:
        """Say that there is no label from here on; its versions stay and can be restored."""
        self.labels.remove(self.source.entry(label_id).id, _text(label_tag), provenance)

    def update_image_info(self, image_id: str, info: dict[str, Any]) -> None:
        """Remember something about an image, for as long as the server runs.

        Raises:
            InputError: it would be more than an image's note may hold.
        """
        entry = self.source.entry(image_id)
        with self._lock:
            noted = {**self._image_info.get(entry.id, {}), **info}
            if len(json.dumps(noted, default=str)) > _NOTE_LENGTH:
                raise InputError(f"expected notes of at most {_NOTE_LENGTH} characters on an image, got more")
            self._image_info[entry.id] = noted

    def update_label_info(
        self, label_id: str, label_tag: str, info: dict[str, Any], provenance: Provenance = LOCAL_AUTHOR
    ) -> None:
        """Add to what was said about a label, as a new version of it."""
        self.labels.update_info(self.source.entry(label_id).id, _text(label_tag), info, provenance)

    def status(self) -> dict[str, Any]:
        """Count images and labels, in MONAI Label's words; viewers ask for it all the time."""
        images, labelled = self.list_images(), self.labels.labelled_by_tag()
        now = (images, labelled, self.labels.done(FINAL))
        counted = self._counted
        if counted is None or counted[0] != now:
            offered = frozenset(images)
            tags = {tag: len(offered & found) for tag, found in labelled.items()}
            done = len(offered & now[2])
            counted = self._counted = (now, {tag: count for tag, count in tags.items() if count}, done)
        return {"total": len(images), "completed": counted[2], "label_tags": dict(counted[1]), "train": []}

    def json(self) -> dict[str, Any]:
        """Describe every image with its labels, laid out as MONAI Label's own store does."""
        labels: dict[str, dict[str, Any]] = {}
        for version in self.labels.history.all_heads():
            said = {"ext": version.suffix, "info": description(version)}
            labels.setdefault(version.image, {})[version.tag] = said
        objects = {image_id: self._object(image_id, labels.get(image_id, {})) for image_id in self.list_images()}
        return {"name": self._name, "description": self._description, "objects": objects}

    def close(self) -> None:
        """Give back what is open."""
        self.labels.close()

    def _object(self, image_id: str, labels: dict[str, Any]) -> dict[str, Any]:
        info = self.get_image_info(image_id)
        return {"image": {"ext": info["name"][len(image_id) :], "info": info}, "labels": labels}


def _text(tag: str) -> str:
    """Return a tag as plain text (MONAI Label passes its enumeration in places)."""
    return str(tag.value) if isinstance(tag, DefaultLabelTag) else str(tag)
