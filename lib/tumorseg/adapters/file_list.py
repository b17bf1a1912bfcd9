"""The image files below a folder by the ids that viewers use; looked up again only where a folder changed.

Every request asks for it, many at once: one of them looks, at most once a second, and the others go on with what is
known.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

#: How long a look is good, s.
LOOK_AGAIN_S = 1.0
#: After which all is looked at anew, whatever the folders' times of change say, s.
LOOK_AT_ALL_AGAIN_S = 60.0
#: A folder that changed this recently may change again without a new time of change, s.
_UNSETTLED_S = 2.0
#: A time of change that no folder has.
_UNKNOWN = -1


class FileList:
    """The files of some endings below a folder.

    Args:
        root: the folder; links that lead out of it are left out.
        suffix_of: returns the ending of a file's name, ``""`` for a file that is left out.
        skip: name of a folder in the root that is left out.
    """

    def __init__(self, root: Path, suffix_of: Callable[[str], str], skip: str) -> None:
        self.root = root
        self._suffix_of = suffix_of
        self._skip = skip
        self._found: dict[str, Path] = {}
        self._ids: tuple[str, ...] = ()
        self._folders: dict[str, int] = {}
        self._looked = self._looked_at_all = float("-inf")
        self._forgotten = 0
        self._looking = threading.Lock()

    @property
    def known(self) -> Mapping[str, Path]:
        """What the last look found, id -> path; files in folders are called ``folder__file``."""
        return self._found

    def files(self) -> Mapping[str, Path]:
        """Return the files, id -> path."""
        self._look()
        return self._found

    def ids(self) -> list[str]:
        """Return the ids in order."""
        self._look()
        return list(self._ids)

    def forget(self) -> None:
        """Look again at the next question: a file was put there."""
        self._forgotten += 1
        self._looked = self._looked_at_all = float("-inf")

    def _look(self) -> None:
        """Look again if that is due; who finds somebody looking goes on with what is known, if anything is."""
        if time.monotonic() - self._looked < LOOK_AGAIN_S:
            return
        is_first = self._looked == float("-inf")
        if not self._looking.acquire(blocking=is_first):
            return
        try:
            if is_first and self._looked != float("-inf"):
                return
            forgotten = self._forgotten
            if self._has_changed():
                self._scan()
            if self._forgotten == forgotten:
                self._looked = time.monotonic()
        finally:
            self._looking.release()

    def _has_changed(self) -> bool:
        if time.monotonic() - self._looked_at_all >= LOOK_AT_ALL_AGAIN_S:
            return True
        try:
            return any(os.stat(folder).st_mtime_ns != changed for folder, changed in self._folders.items())
        except OSError:
            return True

    def _scan(self) -> None:
        """Find the files, folder by folder; a folder that changed just now is looked at again next time."""
        root = str(self.root.resolve())
        places: list[tuple[str, ...]] = []
        folders: dict[str, int] = {}
        pending: list[tuple[str, ...]] = [()]
        while pending:
            inner = pending.pop()
            folder = os.path.join(root, *inner)
            folders[folder] = _UNKNOWN
            with suppress(OSError):  # gone or closed to us: then there is nothing to offer
                changed = os.stat(folder).st_mtime_ns
                settled = abs(time.time() - changed / 1e9) > _UNSETTLED_S
                folders[folder] = changed if settled else _UNKNOWN
                for name, is_folder in self._entries(folder, root):
                    if is_folder and (inner or name != self._skip):
                        pending.append((*inner, name))
                    elif not is_folder:
                        places.append((*inner, name))
        found: dict[str, Path] = {}
        for parts in sorted(places):
            name = parts[-1][: -len(self._suffix_of(parts[-1]))]
            found.setdefault("__".join((*parts[:-1], name)), Path(root, *parts))
        self._found, self._ids, self._folders = found, tuple(sorted(found)), folders
        self._looked_at_all = time.monotonic()

    def _entries(self, folder: str, root: str) -> list[tuple[str, bool]]:
        """Return (name, whether it is a folder) of what is looked at; links to folders are not followed."""
        found = []
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                with suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        found.append((entry.name, True))
                    elif self._suffix_of(entry.name) and entry.is_file() and _is_within(entry, root):
                        found.append((entry.name, False))
        return found


def _is_within(entry: os.DirEntry[str], root: str) -> bool:
    """Whether a file lies in the folder; only a link can lead out of it."""
    return not entry.is_symlink() or Path(entry.path).resolve().is_relative_to(root)
