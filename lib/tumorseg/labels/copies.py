"""Keeping the plain layout and the history in step: new versions are copied out, what other tools put there comes in.

A file is known by size and time of change, as recorded when it was put in place; one that differs is looked at once.
Whatever it holds is decided within a transaction, so that several processes come to one answer.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tumorseg.errors import InputError, StorageError
from tumorseg.labels.database import Database
from tumorseg.labels.layout import FileState, PlainLayout, image_of, set_aside, state_of, suffix_of_label
from tumorseg.labels.objects import ObjectStore, digest_of
from tumorseg.labels.records import Draft, add, current, from_row, plain_json
from tumorseg.labels.trouble import spoken
from tumorseg.labels.types import LABEL_SUFFIXES, LabelVersion, Provenance, check_image_id

logger = logging.getLogger(__name__)

#: Under what a label is kept that another tool put into the plain layout.
ADOPTED = Provenance(author="unknown", tool="adopted")
#: How often requests look whether something was put there, s.
LOOK_EVERY_S = 1.0
#: How often every file is looked at: one that is edited in place does not show in its folder's time of change.
LOOK_AT_ALL_EVERY_S = 30.0
#: How long one look may keep the request that happens to do it, s; the rest waits for the next look.
_LOOK_BUDGET_S = 0.25
#: Changes within this time may carry the same time of change (a file system's clock ticks every few ms), s.
_TICK_S = 0.02


@dataclass
class _Memory:
    """What the last looks saw."""

    looked: float = float("-inf")
    looked_at_all: float = float("-inf")
    trouble: str = ""


class Copies:
    """The plain layout of one history.

    Args:
        layout: where the copies lie.
        database: the index.
        objects: where the versions' files are kept.
        adopted: told of every version that was taken over, after it is kept.
        guard: held while files are kept, so that nothing is cleared away under them.

    Attributes:
        is_watched: whether somebody looks all the time (:class:`tumorseg.labels.watch.Watch`).
        is_settled: whether all that lay there at first was looked at once; until then the index may lack some.
    """

    def __init__(
        self,
        layout: PlainLayout,
        database: Database,
        objects: ObjectStore,
        adopted: Callable[[LabelVersion], None],
        guard: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self.layout = layout
        self._database = database
        self._objects = objects
        self._adopted = adopted
        self._guard = guard
        self.is_watched = False
        self.is_settled = False
        self._memory = _Memory()
        self._folders: dict[str, int] = {}
        self._no_labels: dict[Path, FileState] = {}
        self._looking = threading.Lock()

    def look(self, *, unasked: bool = False) -> None:
        """Take over what was put there since the last look, if that is a while ago and nobody else is looking.

        Args:
            unasked: not on behalf of a request; those leave it to whoever watches.
        """
        now = time.monotonic()
        if self.is_watched and not unasked:
            return
        if now - self._memory.looked < LOOK_EVERY_S or not self._looking.acquire(blocking=False):
            return
        try:
            at_all = now - self._memory.looked_at_all >= LOOK_AT_ALL_EVERY_S
            if self._look(at_all=at_all, until=now + _LOOK_BUDGET_S) and at_all:
                self._memory.looked_at_all = now
                self.is_settled = True
            self._memory.trouble = ""
        except StorageError as error:
            self.complain(error)
        finally:
            self._memory.looked = time.monotonic()
            self._looking.release()

    def adopt(self, until: Callable[[], bool] = lambda: False) -> None:
        """Take over all that was put there, however long it takes, or until it is asked to stop."""
        with self._looking:
            finished = self._look(at_all=True, until=float("inf"), stop=until)
            self.is_settled = self.is_settled or finished

    def complain(self, error: StorageError) -> None:
        """Say that nothing can be taken over; once, and not at every look."""
        if str(error) != self._memory.trouble:
            logger.warning("what other tools put into %s cannot be taken over: %s", self.layout.root, error)
        self._memory.trouble = str(error)

    def is_current(self, version: LabelVersion) -> bool:
        """Whether the copy of a version lies there as it was put."""
        sql = "SELECT size, changed_ns FROM copies WHERE tag = ? AND name = ? AND seq = ?"
        rows = self._database.rows(sql, version.tag, version.name, version.seq)
        state = state_of(self.layout.file(version.tag, version.name))
        return bool(rows) and state == FileState(rows[0]["size"], rows[0]["changed_ns"])

    def refresh(self, image: str, tag: str, *, force: bool = True) -> None:
        """Bring the copy of an image's label in step with the history.

        Args:
            image: id of the image.
            tag: the tag.
            force: move a file out of the way that is no label.
        """
        new: list[LabelVersion] = []
        with self._guard(), self._database.transaction() as connection, spoken(self.layout.root):
            known = _known(connection, image, tag)
            for name in self._by_age(image, tag):
                if not self._take(connection, image, tag, name, known.get(name), force, new):
                    return
            self._put_newest(connection, image, tag)
        for version in new:
            logger.info("took over the label %s of %s", version.tag, version.image)
            self._adopted(version)

    def _take(
        self,
        connection: sqlite3.Connection,
        image: str,
        tag: str,
        name: str,
        known: sqlite3.Row | None,
        force: bool,
        new: list[LabelVersion],
    ) -> bool:
        """Find out what a file is that differs from its record; False where it must be left alone for now."""
        path = self.layout.file(tag, name)
        state = state_of(path)
        if state is None or (known is not None and state == FileState(known["size"], known["changed_ns"])):
            return True
        if abs(time.time() - state.changed_ns / 1e9) < _TICK_S:
            time.sleep(_TICK_S)
            state = state_of(path) or state
        ours = _our_own(connection, image, tag, digest_of(path), known)
        if ours is not None:
            _record(connection, image, tag, name, ours, state)
            return True
        version = self._adopt(connection, image, tag, path, state)
        if version is not None:
            new.append(version)
            self.layout.describe(version)
            _record(connection, image, tag, name, version.seq, state)
            return True
        if force and state_of(path) == state:
            logger.warning("%s is no label and was moved to %s", path, set_aside(self.layout.root, path))
        return force

    def _adopt(
        self, connection: sqlite3.Connection, image: str, tag: str, path: Path, state: FileState
    ) -> LabelVersion | None:
        """Take a file over as a new version; None where it is no label, or changes at this moment."""
        from tumorseg.labels.files import read_label

        if self._no_labels.get(path) == state:
            return None
        try:
            empty = not read_label(path).voxels.any()
        except InputError as error:
            logger.warning("%s is not taken over: %s", path, error)
            self._no_labels[path] = state
            return None
        stored = self._objects.put(path, suffix_of_label(path.name))
        if state_of(path) != state:
            return None
        created = datetime.fromtimestamp(state.changed_ns / 1e9, UTC).isoformat(timespec="milliseconds")
        info = plain_json(self.layout.info(image, tag), "info")
        draft = Draft(image, tag, ADOPTED, "no_lesion" if empty else "label", stored, info, created=created)
        return add(connection, draft, once=False)

    def _put_newest(self, connection: sqlite3.Connection, image: str, tag: str) -> None:
        """Copy the newest version out, and remove the copies of what it took the place of."""
        row = current(connection, image, tag)
        head = from_row(row) if row is not None else None
        known = _known(connection, image, tag)
        if head is not None and not _is_there(self.layout, head, known.get(head.name)):
            state = self.layout.put(head, self._objects.path(head))
            _record(connection, image, tag, head.name, head.seq, state)
        gone = [name for name in known if head is None or name != head.name]
        if gone:
            self.layout.remove(image, tag, gone)
            for name in gone:
                connection.execute("DELETE FROM copies WHERE tag = ? AND name = ?", (tag, name))

    def _look(self, *, at_all: bool, until: float, stop: Callable[[], bool] = lambda: False) -> bool:
        """Look at the folders that changed, or at all; False where time ran out."""
        finished = True
        with spoken(self.layout.root):
            tags = self.layout.tags()
        for tag in tags:
            with spoken(self.layout.root):
                changed_ns = os.stat(self.layout.root / tag).st_mtime_ns
            if not at_all and self._folders.get(tag) == changed_ns:
                continue
            if self._look_at(tag, lambda: time.monotonic() > until or stop()):
                self._folders[tag] = changed_ns
            else:
                self._folders.pop(tag, None)
                finished = False
        return finished

    def _look_at(self, tag: str, is_over: Callable[[], bool]) -> bool:
        """Bring one tag in step; False where time ran out."""
        for image in self.out_of_step(tag):
            if is_over():
                return False
            try:
                check_image_id(image)
                self.refresh(image, tag, force=False)
            except InputError as error:
                logger.warning("a file in %s is left alone: %s", tag, error)
        return True

    def out_of_step(self, tag: str) -> list[str]:
        """List the images whose copy is missing, old or not ours, in the order in which the files were changed."""
        with spoken(self.layout.root):
            states = self.layout.states(tag)
        sql = "SELECT name, image, seq, size, changed_ns FROM copies WHERE tag = ?"
        known = {row["name"]: row for row in self._database.rows(sql, tag)}
        recorded = {name: FileState(row["size"], row["changed_ns"]) for name, row in known.items()}
        strange = sorted((state.changed_ns, name) for name, state in states.items() if recorded.get(name) != state)
        found = dict.fromkeys(known[name]["image"] if name in known else str(image_of(name)) for _, name in strange)
        sql = "SELECT image, seq FROM heads WHERE tag = ? AND kind <> 'removed'"
        heads = {row["image"]: row["seq"] for row in self._database.rows(sql, tag)}
        copied = {row["image"]: row["seq"] for name, row in known.items() if name in states}
        late = [image for image in heads | copied if heads.get(image) != copied.get(image)]
        return list(found | dict.fromkeys(late))

    def _by_age(self, image: str, tag: str) -> list[str]:
        """Return the names that a copy of the label may have; the file that was changed last comes last."""
        states = {suffix: state_of(self.layout.file(tag, image + suffix)) for suffix in LABEL_SUFFIXES}
        ages = {suffix: state.changed_ns for suffix, state in states.items() if state is not None}
        return [image + suffix for suffix in sorted(ages, key=lambda suffix: ages[suffix])]


def _known(connection: sqlite3.Connection, image: str, tag: str) -> dict[str, sqlite3.Row]:
    """Return the recorded copies of an image's label, by name."""
    found = connection.execute("SELECT * FROM copies WHERE image = ? AND tag = ?", (image, tag))
    return {row["name"]: row for row in found}


def _record(connection: sqlite3.Connection, image: str, tag: str, name: str, seq: int, state: FileState) -> None:
    sql = "INSERT OR REPLACE INTO copies (tag, name, image, seq, size, changed_ns) VALUES (?, ?, ?, ?, ?, ?)"
    connection.execute(sql, (tag, name, image, seq, state.size, state.changed_ns))


def _our_own(
    connection: sqlite3.Connection, image: str, tag: str, digest: str, known: sqlite3.Row | None
) -> int | None:
    """Return the version that we put there ourselves: the recorded one, or a later one whose record a crash lost.

    Content of an earlier version is not: somebody went back to it.
    """
    removed = "SELECT MAX(seq) FROM versions WHERE image = ? AND tag = ? AND kind = 'removed'"
    first = known["seq"] if known else (connection.execute(removed, (image, tag)).fetchone()[0] or 0)
    sql = "SELECT MAX(seq) FROM versions WHERE image = ? AND tag = ? AND sha256 = ? AND seq >= ?"
    found: int | None = connection.execute(sql, (image, tag, digest, first)).fetchone()[0]
    return found


def _is_there(layout: PlainLayout, head: LabelVersion, known: sqlite3.Row | None) -> bool:
    if known is None or known["seq"] != head.seq:
        return False
    return state_of(layout.file(head.tag, head.name)) == FileState(known["size"], known["changed_ns"])
