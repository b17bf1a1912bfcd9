"""The history of every label: versions that are added and never changed, each with who made it, when and how.

A save is acknowledged when :meth:`LabelHistory.save` returns; from then on it survives a crash of the process and of
the machine:

1. the file is written under the digest of its content and brought onto the disk (``objects/``),
2. a row is added to the index in one transaction (this is the moment at which the version exists),
3. the row is written beside the objects once more (``versions/``), from which a lost index is made again,
4. a copy is put into the plain layout, where other tools look.

A crash before 2 leaves a file that nobody refers to (fsck clears it away), one after 2 a copy that is old, which the
next look mends. Order is the order of the rows; the clock decides nothing.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from tumorseg.errors import InputError, NotFoundError, StorageError
from tumorseg.labels.copies import Copies
from tumorseg.labels.database import Database
from tumorseg.labels.layout import HISTORY_FOLDER, PlainLayout, suffix_of_label
from tumorseg.labels.objects import ObjectStore, Stored
from tumorseg.labels.records import Draft, VersionFiles, add, current, from_row, plain_json
from tumorseg.labels.tables import MIGRATIONS
from tumorseg.labels.trouble import spoken
from tumorseg.labels.types import LABEL_SUFFIXES, Kind, LabelVersion, Provenance, check_image_id, check_tag

logger = logging.getLogger(__name__)

INDEX_NAME = "index.sqlite"


class LabelHistory:
    """The labels below one folder. Any number of threads and processes may use the same folder.

    Attributes:
        root: the folder of the plain layout; the history lies in ``.tumorseg`` within it.
        database: the index; other tables about labels may live in it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / HISTORY_FOLDER
        self.objects = ObjectStore(self.folder / "objects")
        self.version_files = VersionFiles(self.folder / "versions")
        self.database = Database(self.folder / INDEX_NAME, MIGRATIONS, self._refuse_to_hide_a_loss)
        self.layout = PlainLayout(root)
        self.copies = Copies(self.layout, self.database, self.objects, self._write_beside, self.guard)
        self._counted: tuple[list[str], dict[str, frozenset[str]]] = ([], {})
        self._not_beside: set[str] = set()
        self._is_alone = False

    @property
    def is_begun(self) -> bool:
        """Whether there is an index; a folder that cannot be written has none, whatever lies in it."""
        return self.database.is_there()

    def save(
        self,
        image: str,
        tag: str,
        file: Path,
        provenance: Provenance,
        info: Mapping[str, Any] | None = None,
        *,
        no_lesion: bool = False,
        expected_parent: str | None = None,
    ) -> LabelVersion:
        """Keep a label file as the newest version of its tag.

        The same content, said in the same way by the same author, is the version that is there already.

        Args:
            image: id of the image.
            tag: a plain name.
            file: the label map; its ending says the format.
            provenance: where it comes from.
            info: what the client says about it.
            no_lesion: it says that there is nothing to mark.
            expected_parent: uid of the version that the editor began with; a newer one is a conflict.

        Raises:
            InputError: an id, a tag or an ending that cannot be.
            ConflictError: there is a newer version than ``expected_parent``.
            StorageError: it cannot be kept; nothing was.
        """
        suffix = suffix_of_label(file.name.lower())
        if not suffix:
            raise InputError(f"expected a label as {', '.join(LABEL_SUFFIXES)}, got {file.suffix or 'no ending'!r}")
        kind: Kind = "no_lesion" if no_lesion else "label"
        draft = Draft(check_image_id(image), check_tag(tag), provenance, kind, info=plain_json(info, "info"))
        with self.guard(), spoken(self.root):
            return self._add(replace(draft, stored=self.objects.put(file, suffix)), expected_parent)

    def head(self, image: str, tag: str, author: str | None = None) -> LabelVersion | None:
        """Return the newest version of a tag, of one author or of all; None where there is none or it was removed."""
        self.copies.look()
        found = self._head(image, tag, author)
        if author is not None or not self._is_touched(image, tag, found):
            return found
        with suppress(StorageError):  # the copy is for others; the kept file is what counts
            self.copies.refresh(image, tag, force=False)
        return self._head(image, tag, None)

    def heads(self, image: str, tag: str) -> list[LabelVersion]:
        """Return the newest version of every author who labelled the image under this tag, by author."""
        self.copies.look()
        removed = "SELECT IFNULL(MAX(seq), 0) FROM versions WHERE image = ?1 AND tag = ?2 AND kind = 'removed'"
        newest = f"SELECT MAX(seq) FROM versions WHERE image = ?1 AND tag = ?2 AND seq > ({removed}) GROUP BY author"
        rows = self.database.rows(f"SELECT * FROM versions WHERE seq IN ({newest}) ORDER BY author", image, tag)
        return [from_row(row) for row in rows]

    def versions(self, image: str, tag: str | None = None) -> list[LabelVersion]:
        """Return every version of an image's labels, oldest first; tombstones too."""
        self.copies.look()
        sql = "SELECT * FROM versions WHERE image = ?1 AND (?2 IS NULL OR tag = ?2) ORDER BY seq"
        return [from_row(row) for row in self.database.rows(sql, image, tag)]

    def version(self, uid: str) -> LabelVersion:
        """Look a version up; NotFoundError where there is none."""
        rows = self.database.rows("SELECT * FROM versions WHERE uid = ?", uid)
        if not rows:
            raise NotFoundError(f"there is no label version {uid!r}")
        return from_row(rows[0])

    def path(self, version: LabelVersion) -> Path:
        """Return the kept file of a version; it is not to be changed.

        Raises:
            NotFoundError: the version says that the label was removed.
            StorageError: the file is gone or damaged.
        """
        if version.kind == "removed":
            raise NotFoundError(f"label version {version.uid} says that the label was removed: it has no file")
        return self.objects.path(version)

    def restore(self, uid: str, provenance: Provenance, *, expected_parent: str | None = None) -> LabelVersion:
        """Make an earlier version the newest one again, as a new version."""
        earlier = self.version(uid)
        if earlier.kind != "removed":
            self.path(earlier)  # that it is there and sound is found out before a version says so
        return self._again(earlier, provenance, earlier.info, expected_parent)

    def annotate(self, version: LabelVersion | str, info: Mapping[str, Any], provenance: Provenance) -> LabelVersion:
        """Add to what is said about a label, as a new version of the same content."""
        known = self.version(version) if isinstance(version, str) else version
        return self._again(known, provenance, {**known.info, **info}, None)

    def remove(self, image: str, tag: str, provenance: Provenance) -> LabelVersion:
        """Say that there is no label from here on; earlier versions stay and can be restored.

        Raises:
            NotFoundError: there is none.
        """
        head = self.head(image, tag)
        if head is None:
            raise NotFoundError(f"image {image!r} has no label tagged {tag!r}")
        with self.guard():
            return self._add(Draft(image, tag, provenance, "removed", parent=head.uid), None)

    def tags(self, image: str) -> list[str]:
        """List the tags under which an image has a label."""
        self.copies.look()
        sql = "SELECT tag FROM heads WHERE image = ? AND kind <> 'removed' ORDER BY tag"
        return [row["tag"] for row in self.database.rows(sql, image)]

    def counts(self) -> dict[str, int]:
        """Return how many images have a label, by tag."""
        return {tag: len(images) for tag, images in self._labelled().items()}

    def labelled(self, tag: str) -> frozenset[str]:
        """Return the images that have a label of this tag; "no lesion" is one."""
        return self._labelled().get(tag, frozenset())

    def labelled_by_tag(self) -> dict[str, frozenset[str]]:
        """Return the images that have a label, by tag."""
        return dict(self._labelled())

    def all_heads(self) -> list[LabelVersion]:
        """Return the newest version of every label there is, by image and tag."""
        self.copies.look()
        sql = "SELECT v.* FROM heads h JOIN versions v USING (seq) WHERE h.kind <> 'removed' ORDER BY h.image, h.tag"
        return [from_row(row) for row in self.database.rows(sql)]

    def adopt(self, until: Callable[[], bool] = lambda: False) -> None:
        """Take over every file that other tools put into the plain layout, however long that takes, or until then."""
        self.copies.adopt(until)

    def close(self) -> None:
        """Close the index; it is opened again when it is needed."""
        self.database.close()

    @contextmanager
    def guard(self, *, alone: bool = False) -> Iterator[None]:
        """Keep fsck from clearing away what is being saved; ``alone`` waits for everybody else to be done."""
        if self._is_alone:
            yield
            return
        with spoken(self.folder):
            if not alone:
                self.database.is_there()  # a folder that is gone is not begun anew: it may come back
            self.folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o666)
        try:
            with spoken(self.folder):
                fcntl.flock(descriptor, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
            self._is_alone = alone
            yield
        finally:
            self._is_alone = False
            os.close(descriptor)

    def _add(self, draft: Draft, expected_parent: str | None) -> LabelVersion:
        """Add a version, and bring files and copies in step; what fails after the commit is mended later."""
        self._take_over_first(draft)
        with self.database.transaction() as connection:
            if draft.kind == "removed" and current(connection, draft.image, draft.tag) is None:
                raise NotFoundError(f"image {draft.image!r} has no label tagged {draft.tag!r}")
            version = add(connection, draft, expected_parent)
        self._write_beside(version)
        try:
            self.copies.refresh(version.image, version.tag)
        except StorageError as error:
            logger.warning("label %s is kept, its copy in %s is not: %s", version.uid, self.root, error)
        return version

    def _take_over_first(self, draft: Draft) -> None:
        """Take over what another tool put in the place of the copy, before a newer version takes its place."""
        if not self._is_touched(draft.image, draft.tag, self._head(draft.image, draft.tag, None)):
            return
        try:
            self.copies.refresh(draft.image, draft.tag)
        except StorageError as error:
            logger.warning("what lies in %s for %s is not taken over: %s", self.root, draft.image, error)

    def _is_touched(self, image: str, tag: str, head: LabelVersion | None) -> bool:
        """Whether what lies in the plain layout is something else than the newest version."""
        if head is None:
            return self.layout.find(image, tag) is not None
        return not self.copies.is_current(head)

    def _again(
        self, earlier: LabelVersion, provenance: Provenance, info: Mapping[str, Any], expected_parent: str | None
    ) -> LabelVersion:
        """Add the content of an earlier version once more."""
        if earlier.kind == "removed":
            raise InputError(f"label version {earlier.uid} says that the label was removed: name one with a file")
        who = provenance
        if not (who.model or who.model_version or who.prompts):
            who = replace(who, model=earlier.model, model_version=earlier.model_version, prompts=earlier.prompts)
        stored = Stored(earlier.sha256, earlier.suffix, earlier.size)
        said = plain_json(info, "info")
        draft = Draft(earlier.image, earlier.tag, who, earlier.kind, stored, said, parent=earlier.uid)
        with self.guard():
            return self._add(draft, expected_parent)

    def _head(self, image: str, tag: str, author: str | None) -> LabelVersion | None:
        if not self.database.is_there():
            return None
        with self.database.reading() as connection:
            row = current(connection, image, tag, author)
        return from_row(row) if row is not None else None

    def _labelled(self) -> dict[str, frozenset[str]]:
        """Return the labelled images by tag, from memory while no version was added."""
        self.copies.look()
        newest = [row["uid"] for row in self.database.rows("SELECT uid FROM versions ORDER BY seq DESC LIMIT 1")]
        if self._counted[0] != newest:
            found: dict[str, set[str]] = {}
            for row in self.database.rows("SELECT tag, image FROM heads WHERE kind <> 'removed' ORDER BY tag"):
                found.setdefault(row["tag"], set()).add(row["image"])
            self._counted = (newest, {tag: frozenset(images) for tag, images in found.items()})
        return self._counted[1]

    def _write_beside(self, version: LabelVersion) -> None:
        """Write the file of a version; one that fails is written with the next, or by fsck."""
        try:
            with spoken(self.version_files.root):
                self.version_files.keep(version)
                for uid in list(self._not_beside):
                    self.version_files.keep(self.version(uid))
                    self._not_beside.discard(uid)
        except StorageError as error:
            self._not_beside.add(version.uid)
            logger.warning("label %s is kept in the index only: %s", version.uid, error)

    def _refuse_to_hide_a_loss(self) -> None:
        """Make no new index where versions are kept: it would look as if there never were any labels."""
        if not self.version_files.is_empty():
            raise StorageError(
                f"the label index {self.database.path} is gone, but versions of labels are kept beside it: "
                "run tumorseg fsck --repair, or restore a backup"
            )
