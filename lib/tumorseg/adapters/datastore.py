"""MONAI Label's Datastore over an image source and a label store.

Both MONAI Label's own server and ours speak to this class; it holds nothing that another process could find stale
except who was shown which image, which is advice for active learning only.
"""

from __future__ import annotations

import io
import threading
from pathlib import Path
from typing import Any

from monailabel.interfaces.datastore import Datastore, DefaultLabelTag

from tumorseg.adapters.labels import LabelStore
from tumorseg.adapters.sources import ImageSource
from tumorseg.errors import InputError

FINAL = DefaultLabelTag.FINAL.value


class StudyDatastore(Datastore):  # type: ignore[misc]
    """Images of a source with their labels; ids and tags are looked up or checked before use."""

    def __init__(self, source: ImageSource, labels: LabelStore) -> None:
        self.source = source
        self.labels = labels
        self._name, self._description = "studies", ""
        self._image_info: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()

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
        """List image and label files of every image with a final label."""
        pairs = []
        for image_id in self.get_labeled_images():
            image, label = self.source.local_file(image_id), self.labels.path(image_id, FINAL)
            pairs.append({"image": str(image), "label": str(label)})
        return pairs if full_path else [{k: Path(v).name for k, v in pair.items()} for pair in pairs]

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
        """List the images with a label of this tag (``final`` where none is given)."""
        tag = _text(label_tag or FINAL)
        return [image_id for image_id in self.list_images() if tag in self.labels.tags(image_id)]

    def get_unlabeled_images(self, label_tag: str | None = None, labels: list[str] | None = None) -> list[str]:
        """List the images without a label of this tag (``final`` where none is given)."""
        labelled = set(self.get_labeled_images(label_tag, labels))
        return [image_id for image_id in self.list_images() if image_id not in labelled]

    def get_dataset_archive(self, limit_cases: int | None) -> str:
        """Refuse: whole data sets are not sent over the network."""
        raise InputError("this server does not send its data set: copy the studies folder")

    def refresh(self) -> None:
        """Nothing to do: every look is a fresh one."""

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
        entry = self.source.entry(image_id)
        self.labels.save(entry.id, _text(label_tag or FINAL), Path(label_filename), label_info or {})
        return entry.id

    def remove_label(self, label_id: str, label_tag: str) -> None:
        """Delete a label."""
        self.labels.remove(self.source.entry(label_id).id, _text(label_tag))

    def update_image_info(self, image_id: str, info: dict[str, Any]) -> None:
        """Remember something about an image, for as long as the server runs."""
        entry = self.source.entry(image_id)
        with self._lock:
            self._image_info.setdefault(entry.id, {}).update(info)

    def update_label_info(self, label_id: str, label_tag: str, info: dict[str, Any]) -> None:
        """Add to what was said about a label."""
        self.labels.update_info(self.source.entry(label_id).id, _text(label_tag), info)

    def status(self) -> dict[str, Any]:
        """Count images and labels, in MONAI Label's words."""
        tags: dict[str, int] = {}
        images = self.list_images()
        for image_id in images:
            for tag in self.labels.tags(image_id):
                tags[tag] = tags.get(tag, 0) + 1
        return {"total": len(images), "completed": tags.get(FINAL, 0), "label_tags": tags, "train": []}

    def json(self) -> dict[str, Any]:
        """Describe every image with its labels, laid out as MONAI Label's own store does."""
        return {"name": self._name, "description": self._description, "objects": self._objects()}

    def _objects(self) -> dict[str, Any]:
        return {image_id: self._object(image_id) for image_id in self.list_images()}

    def _object(self, image_id: str) -> dict[str, Any]:
        info = self.get_image_info(image_id)
        labels = {tag: self.labels.info(image_id, tag) for tag in self.labels.tags(image_id)}
        return {
            "image": {"ext": _ending(info["name"], image_id), "info": info},
            "labels": {tag: {"ext": _ending(said["name"], image_id), "info": said} for tag, said in labels.items()},
        }


def _ending(name: str, image_id: str) -> str:
    """Return what a file name has after the image's id."""
    return name[len(image_id) :]


def _text(tag: str) -> str:
    """Return a tag as plain text (MONAI Label passes its enumeration in places)."""
    return str(tag.value) if isinstance(tag, DefaultLabelTag) else str(tag)
