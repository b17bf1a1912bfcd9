"""Labels of images: the history behind, and for tools without a server the plain files as they lie."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tumorseg.adapters.grids import ImagePlace
from tumorseg.adapters.sources import LABELS_FOLDER
from tumorseg.errors import NotFoundError
from tumorseg.folders import data_folder
from tumorseg.labels.checks import CheckedLabel, check_label
from tumorseg.labels.copies import LOOK_EVERY_S
from tumorseg.labels.history import LabelHistory
from tumorseg.labels.layout import HISTORY_FOLDER, OUR_KEYS, PlainLayout, description
from tumorseg.labels.rejected import Rejected
from tumorseg.labels.types import LABEL_SUFFIXES, LabelVersion, Provenance, check_image_id, check_tag
from tumorseg.labels.watch import Watch

if TYPE_CHECKING:
    from tumorseg.config import AppConfig

__all__ = ["LABEL_SUFFIXES", "LOCAL_AUTHOR", "LabelStore", "PlainLabels", "labels_folder", "labels_root"]

#: Who made a label that came in without a sign-in.
LOCAL_AUTHOR = Provenance(author="local")


class PlainLabels:
    """Labels as they lie in the plain layout; reads only, and needs no index."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._layout = PlainLayout(root)

    def tags(self, image_id: str) -> list[str]:
        """List the tags under which the image has a label."""
        return [tag for tag in self._layout.tags() if self._layout.find(image_id, tag)]

    def path(self, image_id: str, tag: str) -> Path:
        """Return the label's file; NotFoundError where there is none."""
        path = self._layout.find(image_id, check_tag(tag))
        if path is None:
            raise NotFoundError(f"image {image_id!r} has no label tagged {tag!r}")
        return path

    def info(self, image_id: str, tag: str) -> dict[str, Any]:
        """Return what was said about the label."""
        path = self.path(image_id, tag)
        return {"ts": int(path.stat().st_mtime), **self._layout.info(image_id, tag), "name": path.name}

    def labelled_by_tag(self) -> dict[str, frozenset[str]]:
        """Return the images that have a label, by tag."""
        return {tag: self._layout.images(tag) for tag in self._layout.tags()}


class LabelStore:
    """Labels by image id and tag. Ids come from an image source; tags are plain names.

    Args:
        root: folder of the labels.
        classes: class name -> its value or None for any; labels with other classes are refused. Empty: any class.

    Attributes:
        history: every version; everything that is not the newest one is asked there.
    """

    def __init__(self, root: Path, classes: Mapping[str, int | None] | None = None) -> None:
        self.root = root
        self._classes = dict(classes or {})
        self.history = LabelHistory(root)
        self._plain = PlainLabels(root)
        self._rejected = Rejected(self.history.database)
        self._lying_there: tuple[float, dict[str, frozenset[str]]] = (float("-inf"), {})
        self._watch: Watch | None = None

    def tags(self, image_id: str) -> list[str]:
        """List the tags under which the image has a label."""
        found = self.history.tags(image_id)
        return found if self._is_complete else sorted({*found, *self._plain.tags(image_id)})

    def head(self, image_id: str, tag: str, author: str | None = None) -> LabelVersion:
        """Return the newest version of a label; NotFoundError where there is none."""
        found = self.history.head(image_id, check_tag(tag), author)
        if found is None:
            of = f" by {author}" if author else ""
            raise NotFoundError(f"image {image_id!r} has no label tagged {tag!r}{of}")
        return found

    def path(self, image_id: str, tag: str) -> Path:
        """Return a file of the newest label: the copy that other tools know, where that is as it was put."""
        check_tag(tag)
        found = self.history.head(image_id, tag)
        if found is None and not self._is_complete:
            return self._plain.path(image_id, tag)
        found = found or self.head(image_id, tag)
        if self.history.copies.is_current(found):
            return self.history.layout.file(tag, found.name)
        return self.history.path(found)

    def info(self, image_id: str, tag: str, author: str | None = None) -> dict[str, Any]:
        """Return what was said about the newest label, and where it is from."""
        found = self.history.head(image_id, check_tag(tag), author)
        if found is None and not self._is_complete:
            return self._plain.info(image_id, tag)
        return description(found or self.head(image_id, tag, author))

    def labelled_by_tag(self) -> dict[str, frozenset[str]]:
        """Return the images that have a label, by tag; from memory while nothing changes."""
        found = self.history.labelled_by_tag()
        if self._is_complete:
            return found
        if time.monotonic() - self._lying_there[0] >= LOOK_EVERY_S:
            self._lying_there = (time.monotonic(), self._plain.labelled_by_tag())
        plain = self._lying_there[1]
        return {tag: found.get(tag, frozenset()) | plain.get(tag, frozenset()) for tag in sorted(found | plain)}

    def done(self, tag: str) -> frozenset[str]:
        """Return the images that need no label of this tag any more: not those of which all are rejected."""
        return self.labelled_by_tag().get(tag, frozenset()) - self._rejected.images(tag)

    def watch(self) -> None:
        """Take over the files of an earlier store and of other tools, behind the requests, until it is closed."""
        self.history.copies.look()  # a few are there before anybody asks
        self._watch = Watch(self.history.copies)
        self._watch.start()

    @property
    def _is_complete(self) -> bool:
        """Whether the index knows every label; where nothing can be written it never does."""
        return self.history.copies.is_settled

    def save(
        self,
        image_id: str,
        tag: str,
        file: Path,
        info: Mapping[str, Any],
        provenance: Provenance = LOCAL_AUTHOR,
        *,
        place: ImagePlace | None = None,
        expected_parent: str | None = None,
    ) -> LabelVersion:
        """Keep a label file as the newest version under its tag.

        Args:
            image_id: id of the image.
            tag: a plain name.
            file: the label map.
            info: what the client says about it.
            provenance: where it comes from.
            place: where the image's voxels lie, which are to be the label's; None leaves that unchecked.
            expected_parent: uid of the version that the editor began with; a newer one is a conflict.

        Raises:
            InputError: the tag is no plain name, or the file is no label map of this image.
        """
        check_image_id(image_id)
        check_tag(tag)
        checked = _checked(file, said(info), place, self._classes)
        return self.history.save(
            image_id,
            tag,
            file,
            provenance,
            checked.info,
            no_lesion=checked.empty,
            expected_parent=expected_parent,
        )

    def update_info(
        self, image_id: str, tag: str, info: Mapping[str, Any], provenance: Provenance = LOCAL_AUTHOR
    ) -> LabelVersion:
        """Add to what was said about a label, as a new version of the same content."""
        return self.history.annotate(self.head(image_id, tag), said(info), provenance)

    def remove(self, image_id: str, tag: str, provenance: Provenance = LOCAL_AUTHOR) -> LabelVersion:
        """Say that there is no label from here on; NotFoundError where there is none."""
        return self.history.remove(image_id, check_tag(tag), provenance)

    def close(self) -> None:
        """Give back what is open."""
        if self._watch is not None:
            self._watch.stop()
        self.history.close()


def labels_root(config: AppConfig) -> Path:
    """Decide where labels lie: as configured, else in the studies folder, else with the user's data."""
    if config.labels is not None:
        return config.labels
    if not config.is_remote and os.access(config.studies, os.W_OK):
        return Path(config.studies) / LABELS_FOLDER
    import hashlib

    return data_folder() / LABELS_FOLDER / hashlib.sha256(config.studies.encode()).hexdigest()[:16]


def labels_folder(place: str) -> Path:
    """Return the folder of labels that somebody means: that folder itself, or the studies that they belong to.

    What does not exist is a folder of labels: one that is gone is named to bring it back.
    """
    from tumorseg.config import AppConfig

    path = Path(place)
    is_labels = (path / HISTORY_FOLDER).is_dir() or path.name == LABELS_FOLDER or not path.exists()
    return path if is_labels and "://" not in place else labels_root(AppConfig.parse(place))


def said(info: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a client says itself: one that sends back what it was told sends our additions too."""
    return {key: value for key, value in info.items() if key not in OUR_KEYS}


def _checked(
    file: Path, info: Mapping[str, Any], place: ImagePlace | None, classes: Mapping[str, int | None]
) -> CheckedLabel:
    if place is None:
        return check_label(file, None, info, classes=classes)
    return check_label(file, place.grid, info, placed=place.placed, classes=classes)
