"""What people do together with labels: look at versions, review, compare, agree; for the server and the command line.

An image is looked up in the source before anything else: what it does not know has no labels.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tumorseg.adapters.grids import ImagePlace, ImagePlaces
from tumorseg.adapters.label_picture import label_picture
from tumorseg.adapters.labels import LabelStore, labels_root
from tumorseg.adapters.sources import ImageSource, open_source
from tumorseg.errors import InputError, NotFoundError, StorageError
from tumorseg.labels.agreement import CONSENSUS, Agreement, annotators_heads, compare, consensus, masks_by_annotator
from tumorseg.labels.leases import Leases
from tumorseg.labels.reviews import Reviews, State
from tumorseg.labels.schema import said_names
from tumorseg.labels.types import LabelVersion, Provenance, check_tag

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tumorseg.config import AppConfig
    from tumorseg.types import Segmentation

logger = logging.getLogger(__name__)
#: The file in which an empty mask or a consensus is written before it is kept.
_DRAFT = "label.nii.gz"


@dataclass(frozen=True)
class Reviewed:
    """A version and the last verdict on it."""

    version: LabelVersion
    state: State


class LabelDesk:
    """The labels of one place, and what is said about them.

    Attributes:
        source: where images come from.
        store: the labels.
        reviews: what reviewers said.
        leases: who works on what.
    """

    def __init__(self, source: ImageSource, store: LabelStore, places: ImagePlaces, lease_minutes: float) -> None:
        self.source, self.store = source, store
        self.reviews = Reviews(store.history.database)
        self.leases = Leases(store.history.database, lease_minutes)
        self._places = places

    @classmethod
    def open(cls, config: AppConfig) -> LabelDesk:
        """Open the labels of the configured studies without a server.

        Raises:
            InputError: the studies cannot be used.
        """
        source = open_source(config)
        store = LabelStore(labels_root(config), config.label_classes)
        return cls(source, store, ImagePlaces(source), config.lease_minutes)

    def close(self) -> None:
        """Give back what is open; only for one that was opened here."""
        self.source.close()
        self.store.close()

    def versions(self, image: str, tag: str | None = None) -> list[Reviewed]:
        """Return every version of an image's labels with its state, newest first."""
        found = self.store.history.versions(self.source.entry(image).id, tag)
        return self.with_states(found[::-1])

    def version(self, image: str, uid: str) -> LabelVersion:
        """Look a version of this image up; one of another image is as unknown as any other misspelling."""
        found = self.store.history.version(uid)
        if found.image != self.source.entry(image).id:
            raise NotFoundError(f"image {image!r} has no label version {uid!r}")
        return found

    def picture(self, image: str, uid: str) -> bytes:
        """Draw a version on the slices of its image, as PNG.

        Raises:
            NotFoundError: there is no such version, or it says that the label was removed.
            InputError: the image cannot be read, or the label lies on other voxels.
        """
        version = self.version(image, uid)
        return label_picture(self.source, version, self.store.history.path(version))

    def heads(self) -> dict[str, list[Reviewed]]:
        """Return image -> the newest version of each of its labels."""
        by_image: dict[str, list[Reviewed]] = {}
        for reviewed in self.with_states(self.store.history.all_heads()):
            by_image.setdefault(reviewed.version.image, []).append(reviewed)
        return by_image

    def no_lesion(self, image: str, tag: str, provenance: Provenance) -> LabelVersion:
        """Keep that somebody looked and there is nothing to mark: an empty mask on the image's voxels."""
        import numpy as np

        entry, place = self.source.entry(image), self._place(image)
        empty = np.zeros(place.grid.shape, np.uint8)
        return self._keep(entry.id, tag, empty, place, {}, {}, provenance)

    def keep(
        self,
        image: str,
        tag: str,
        segmentation: Segmentation,
        info: Mapping[str, Any],
        provenance: Provenance,
        *,
        expected_parent: str | None = None,
    ) -> LabelVersion:
        """Keep a label map that was made here, on the voxels of its image.

        Raises:
            InputError: it lies on others: the image changed since it was looked at.
            ConflictError: there is a newer version than ``expected_parent``.
        """
        entry, place = self.source.entry(image), self._place(image)
        if segmentation.grid.shape != place.grid.shape:
            raise InputError(
                f"expected a label {place.grid.shape} (K, J, I) as its image, got {segmentation.grid.shape}: "
                "the image changed, look at it again"
            )
        values = {name: value for name, value in segmentation.labels.items() if (segmentation.voxels == value).any()}
        return self._keep(
            entry.id, check_tag(tag), segmentation.voxels, place, values, info, provenance, expected_parent
        )

    def agreement(self, image: str, tag: str) -> Agreement:
        """Compare the newest labels of an image's annotators.

        Raises:
            InputError: there are fewer than two, or their labels cannot be compared.
        """
        entry, place = self.source.entry(image), self._place(image)
        history = self.store.history
        return compare(masks_by_annotator(history, entry.id, check_tag(tag), place.grid, placed=place.placed))

    def consensus(self, image: str, tag: str, provenance: Provenance) -> LabelVersion:
        """Keep what an image's annotators mean together as a version of its own.

        Raises:
            InputError: there are fewer than two, or their labels cannot be compared.
        """
        import numpy as np

        entry, place = self.source.entry(image), self._place(image)
        history = self.store.history
        heads = annotators_heads(history, entry.id, check_tag(tag))
        masks = consensus(masks_by_annotator(history, entry.id, tag, place.grid, placed=place.placed))
        values = _values(list(masks), heads)
        voxels = np.zeros(place.grid.shape, np.uint8 if max(values.values(), default=0) < 256 else np.uint16)
        for name, mask in masks.items():
            voxels[mask] = values[name]
        parents = {author: version.uid for author, version in sorted(heads.items())}
        maker = replace(provenance, author=CONSENSUS, tool=f"STAPLE, asked for by {provenance.author}")
        return self._keep(entry.id, tag, voxels, place, values, {"parents": parents, "method": "STAPLE"}, maker)

    def give(self, image: str, holder: str) -> bool:
        """Let somebody have the next case, unless somebody else took it meanwhile.

        Where leases cannot be kept (a full disk) the case is given all the same: to look at it needs none.
        """
        try:
            return self.leases.take(image, holder) is not None
        except StorageError as error:
            logger.warning("%s is given without a lease: %s", image, error)
            return True

    def is_done(self, image: str, holder: str | None = None) -> None:
        """End the lease of a case that was labelled; the label is kept by now, so nothing here makes that fail."""
        try:
            self.leases.release(image, holder)
        except StorageError as error:
            logger.warning("the lease of %s is not ended: %s", image, error)

    def with_states(self, versions: list[LabelVersion]) -> list[Reviewed]:
        """Return versions with the last verdict on each."""
        states = self.reviews.states(version.uid for version in versions)
        return [Reviewed(version, states[version.uid]) for version in versions]

    def _place(self, image: str) -> ImagePlace:
        place = self._places.of(self.source.entry(image).id)
        if place is None:
            raise InputError(f"the image {image!r} cannot be read now, so it is not known where its voxels lie")
        return place

    def _keep(
        self,
        image: str,
        tag: str,
        voxels: NDArray[np.unsignedinteger[Any]],
        place: ImagePlace,
        values: Mapping[str, int],
        info: Mapping[str, Any],
        provenance: Provenance,
        expected_parent: str | None = None,
    ) -> LabelVersion:
        from tumorseg.io.write import write_segmentation
        from tumorseg.types import Segmentation

        named = {"label_info": [{"name": name, "idx": value} for name, value in values.items()]} if values else {}
        with tempfile.TemporaryDirectory(prefix="tumorseg-") as folder:
            file = write_segmentation(Path(folder) / _DRAFT, Segmentation(voxels, place.grid, values))
            return self.store.save(
                image, tag, file, {**named, **info}, provenance, place=place, expected_parent=expected_parent
            )


def _values(classes: list[str], heads: Mapping[str, LabelVersion]) -> dict[str, int]:
    """Return class -> value: as the annotators number it where all do the same, else 1, 2, …"""
    said: dict[str, set[int]] = {name: set() for name in classes}
    for version in heads.values():
        for value, name in said_names(version.info).items():
            said.setdefault(name, set()).add(value)
    chosen = {name: next(iter(said[name])) for name in classes if len(said[name]) == 1 and said[name] != {0}}
    if len(chosen) == len(classes) and len(set(chosen.values())) == len(classes):
        return chosen
    return {name: value for value, name in enumerate(classes, start=1)}
