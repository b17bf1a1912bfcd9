"""What :mod:`tumorseg.labels.fsck` looks at: index, rows, files of versions, label files, copies, left-overs."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tumorseg.errors import InputError, StorageError
from tumorseg.labels.history import LabelHistory
from tumorseg.labels.layout import HISTORY_FOLDER, set_aside
from tumorseg.labels.objects import DRAFT_SUFFIX, digest_of, is_older_than, write_durably
from tumorseg.labels.rebuild import rebuild_index
from tumorseg.labels.records import as_json, from_file, from_row, insert
from tumorseg.labels.types import LabelVersion

#: Kinds of problems, the worst first, with what they mean.
KINDS = {
    "index_lost": "the index is gone; the versions are there",
    "index_damaged": "SQLite finds the index damaged, or cannot read it",
    "object_lost": "the file of a version is gone",
    "object_damaged": "the file of a version is not what was saved",
    "row_lost": "the index does not know a version that is kept beside it",
    "row_differs": "the index and the file beside it say different things of a version",
    "beside_lost": "a version is in the index only",
    "beside_damaged": "the file of a version beside the index cannot be read",
    "heads_wrong": "the index names a wrong newest version",
    "copy_new": "another tool put a file into the plain layout that is not taken over yet",
    "copy_differs": "a copy in the plain layout is missing, old or changed",
    "orphan": "a file that no version refers to: a save that was cut short",
    "draft": "what a crash left of a file that was being written",
}
#: A save that is under way may look like a problem; one that is still there after this is one, s.
_UNDER_WAY_S = 0.5


@dataclass(frozen=True)
class Problem:
    """One thing that is not as it should be.

    Attributes:
        kind: one of KINDS.
        what: the version or the file.
        message: what is wrong with it.
        done: what was done about it, ``""`` where nothing was.
    """

    kind: str
    what: str
    message: str
    done: str = ""


class Examination:
    """One run over one history.

    Attributes:
        problems: what was found so far.
    """

    def __init__(
        self,
        history: LabelHistory,
        repair: bool,
        orphan_age_s: float,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self.problems: list[Problem] = []
        self._history = history
        self._repair = repair
        self._age = orphan_age_s
        self._progress = progress or (lambda done, total: None)

    def run(self) -> int:
        """Look at everything, the index first: the rest is compared with it. Return the number of versions."""
        if not self._index_is_sound():
            return 0
        self._check_rows()
        self._check_beside()
        self._check_heads()
        versions = self._versions()
        self._check_objects(versions)
        self._check_copies()
        versions = self._versions()
        self._check_left_over(versions)
        return len(versions)

    def _found(self, kind: str, what: str, message: str, solve: Callable[[], str]) -> None:
        """Note a problem, after solving it where that was asked for."""
        self.problems.append(Problem(kind, what, message, solve() if self._repair else ""))

    def _versions(self) -> list[LabelVersion]:
        return [from_row(row) for row in self._history.database.rows("SELECT * FROM versions ORDER BY seq")]

    def _index_is_sound(self) -> bool:
        """Ask SQLite; True where there is an index that can be used, also where nothing was ever kept."""
        database = self._history.database
        rebuild = partial(rebuild_index, self._history)
        if not database.path.exists():
            if self._history.version_files.is_empty():
                return True
            self._found("index_lost", database.path.name, "versions are kept beside it", rebuild)
            return self._repair
        try:
            said = [str(row[0]) for row in database.rows("PRAGMA integrity_check(5)")]
        except (StorageError, sqlite3.DatabaseError) as error:
            said = [str(error)]
        if said == ["ok"]:
            return True
        self._found("index_damaged", database.path.name, "; ".join(said), rebuild)
        return self._repair

    def _check_rows(self) -> None:
        """Look whether the index knows every version that is kept beside it."""
        rows = {version.uid: version for version in self._versions()}
        for path in list(self._history.version_files.files()):
            if not path.exists():  # written anew under another name since
                continue
            try:
                version = from_file(path)
            except InputError as error:
                self._found("beside_damaged", path.name, str(error), partial(self._aside, path))
                continue
            known = rows.get(version.uid) or self._row(version.uid)
            if known is None:
                self._found("row_lost", version.uid, f"{path.name} is not in the index", partial(self._insert, version))
                rows = {version.uid: version for version in self._versions()}
            elif known != version:
                message = f"{path.name} is not what the index says"
                self._found("row_differs", version.uid, message, partial(self._write_beside, known, path))

    def _row(self, uid: str) -> LabelVersion | None:
        rows = self._history.database.rows("SELECT * FROM versions WHERE uid = ?", uid)
        return from_row(rows[0]) if rows else None

    def _insert(self, version: LabelVersion) -> str:
        """Put a row back; where another version has its place, all are ordered anew."""
        if self._row(version.uid) is not None:  # came back with another one
            return "put back"
        if self._history.database.rows("SELECT 1 FROM versions WHERE seq = ?", version.seq):
            return rebuild_index(self._history)
        with self._history.database.transaction() as connection:
            insert(connection, version)
        return "put back"

    def _check_beside(self) -> None:
        """Look whether every version is kept beside the index."""
        files = self._history.version_files
        missing = [version for version in self._versions() if not files.path(version).exists()]
        if missing and not self._repair:
            time.sleep(_UNDER_WAY_S)
            missing = [version for version in missing if not files.path(version).exists()]
        for version in missing:
            message = f"{version.image}, {version.tag}: not written beside"
            self._found("beside_lost", version.uid, message, partial(self._write_beside, version))

    def _write_beside(self, version: LabelVersion, instead_of: Path | None = None) -> str:
        path = self._history.version_files.path(version)
        write_durably(path, as_json(version))
        if instead_of is not None and instead_of != path:
            instead_of.unlink()
        return "written from the index"

    def _check_heads(self) -> None:
        """Compare the remembered newest versions with the versions."""
        newest = "SELECT image, tag, MAX(seq) AS seq FROM versions GROUP BY image, tag"
        sql = f"SELECT v.image, v.tag FROM versions v JOIN ({newest}) n USING (seq) LEFT JOIN heads h "
        sql += "ON h.image = v.image AND h.tag = v.tag WHERE h.seq IS NOT v.seq OR h.kind IS NOT v.kind"
        wrong = self._history.database.rows(sql)
        if wrong:
            what = ", ".join(f"{row['tag']}/{row['image']}" for row in wrong[:3])
            self._found("heads_wrong", what, f"{len(wrong)} newest versions are others", self._find_heads)

    def _find_heads(self) -> str:
        newest = "SELECT MAX(seq) FROM versions GROUP BY image, tag"
        with self._history.database.transaction() as connection:
            connection.execute("DELETE FROM heads")
            connection.execute(f"INSERT INTO heads SELECT image, tag, seq, kind FROM versions WHERE seq IN ({newest})")
        return "found anew"

    def _check_objects(self, versions: list[LabelVersion]) -> None:
        """Read the file of every version; each file once."""
        wanted = {(version.sha256, version.suffix): version for version in versions if version.kind != "removed"}
        for done, version in enumerate(wanted.values(), 1):
            path = self._history.objects.place(version.sha256, version.suffix)
            trouble = self._history.objects.trouble(path, version)
            if trouble:
                kind = "object_lost" if trouble == "is gone" else "object_damaged"
                what = f"{version.uid} ({version.tag}/{version.image})"
                self._found(kind, what, f"its file {trouble}", partial(self._find_again, version))
            self._progress(done, len(wanted))

    def _find_again(self, version: LabelVersion) -> str:
        """Look for the content among the copies; of a newest version there is one."""
        place = self._history.objects.place(version.sha256, version.suffix)
        for path in self._candidates(version):
            if digest_of(path) == version.sha256:
                aside = f"{self._aside(place)}, " if place.exists() else ""
                self._history.objects.put(path, version.suffix)
                return f"{aside}put back from {path.relative_to(self._history.root)}"
        return ""

    def _candidates(self, version: LabelVersion) -> Iterator[Path]:
        layout, folder = self._history.layout, self._history.folder / "set-aside"
        places = [*(layout.file(tag, version.name) for tag in layout.tags()), *folder.glob("*")]
        yield from (path for path in places if path.is_file() and path.stat().st_size == version.size)

    def _check_copies(self) -> None:
        """Compare the plain layout with the newest versions."""
        copies = self._history.copies
        laid_out = copies.layout.tags()
        kept = [row["tag"] for row in self._history.database.rows("SELECT DISTINCT tag FROM heads")]
        # Without any folder this is a backup, which has no copies; once repaired it is a store of labels.
        for tag in sorted({*laid_out, *kept}) if laid_out or self._repair else ():
            wrong = copies.out_of_step(tag)
            if wrong and not self._repair:
                time.sleep(_UNDER_WAY_S)
                wrong = sorted(set(wrong) & set(copies.out_of_step(tag)))
            for image in wrong:
                is_new = not self._history.database.rows("SELECT 1 FROM heads WHERE image = ? AND tag = ?", image, tag)
                message = "not taken over yet" if is_new else "not the newest version, or changed since it was put"
                kind = "copy_new" if is_new else "copy_differs"
                self._found(kind, f"{tag}/{image}", message, partial(self._mend_copy, image, tag))

    def _mend_copy(self, image: str, tag: str) -> str:
        """Bring one copy in step: a label that another tool put there becomes a version."""
        before = self._count()
        try:
            self._history.copies.refresh(image, tag)
        except (InputError, StorageError):
            return ""
        if self._count() > before:
            return "taken over as a new version"
        sql = "SELECT 1 FROM heads WHERE image = ? AND tag = ? AND kind <> 'removed'"
        return "copied anew" if self._history.database.rows(sql, image, tag) else "moved to set-aside: it is no label"

    def _count(self) -> int:
        rows = self._history.database.rows("SELECT MAX(seq) FROM versions")
        return int(rows[0][0] or 0) if rows else 0

    def _check_left_over(self, versions: list[LabelVersion]) -> None:
        """Look for files that nothing refers to; young ones may belong to a save that is under way."""
        wanted = {f"{version.sha256}{version.suffix}" for version in versions}
        for path in self._history.objects.files():
            if path.name not in wanted and is_older_than(path, self._age):
                self._found("orphan", path.name, "no version refers to it", partial(_remove, path))
        for path in _drafts(self._history.root):
            if is_older_than(path, self._age):
                self._found("draft", path.name, "left by a crash", partial(_remove, path))

    def _aside(self, path: Path) -> str:
        return f"moved to {set_aside(self._history.root, path).relative_to(self._history.root)}"


def _drafts(root: Path) -> Iterator[Path]:
    """Find unfinished files; only our own have such names."""
    for folder, _, names in os.walk(root):
        inside = HISTORY_FOLDER in Path(folder).relative_to(root).parts
        yield from (Path(folder) / name for name in names if name.endswith(DRAFT_SUFFIX) and (inside or name[0] == "."))


def _remove(path: Path) -> str:
    path.unlink(missing_ok=True)
    return "removed"
