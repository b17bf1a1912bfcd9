"""A folder of things that can be made again, bounded by what it holds.

Each entry is a folder below ``root``; what was used longest ago makes way when the whole takes more than the limit.
Several threads and processes may share a root:

- An entry is made beside the others and put in place in one step, so that one that is there is whole.
- Whoever asks for an entry reads its files a little later, outside of any lock. An entry that was asked for within
  :data:`GRACE_S` is therefore never removed, even where the limit is passed for that time.
- A lock on the root is held while the time of use is noted and while an entry is moved away, both for moments, so that
  an entry is not taken away just as somebody gets it.
- Drafts are locked by who writes them. The system takes that lock back however a process ends; drafts without one were
  left by a process that was killed and are removed when a cache is opened.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tumorseg.errors import InputError, UnavailableError

logger = logging.getLogger(__name__)

#: How long after it was asked for an entry is safe, s: a request reads what it asked for sooner than that.
GRACE_S = 900.0
#: Between two looks at how much there is, s; in between what this process adds is counted.
_LOOK_EVERY_S = 60.0
_LOCKS = 64
_DRAFT, _OLD = ".draft-", ".old-"
# What earlier versions called their drafts.
_LEFT_BEHIND = (_DRAFT, _OLD, ".fetching-", ".incoming-")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,127}")


class DiskCache:
    """See the module.

    Args:
        root: folder of the cache; made with the first entry.
        limit: bytes that the entries may take together.
        grace_s: how long an entry is safe after it was asked for.
    """

    def __init__(self, root: Path, limit: int, *, grace_s: float = GRACE_S) -> None:
        self.root, self.limit = root, limit
        #: Bytes of the entries, as of the last look and what was added since.
        self.size = 0
        self._grace_s = grace_s
        self._looked: float | None = None
        self._locks = [threading.Lock() for _ in range(_LOCKS)]
        self._clean()

    def get(self, name: str) -> Path | None:
        """Return the folder of an entry, safe for a while from now on; None where there is none."""
        folder = self._folder(name)
        if not folder.is_dir():
            return None
        with self._rooted(fcntl.LOCK_SH):
            try:
                os.utime(folder)
            except FileNotFoundError:
                return None
            except OSError:  # a cache that became read-only can still be read, and nothing is removed from it
                logger.debug("the use of a cache entry cannot be noted", exc_info=True)
        return folder

    def filled(
        self, name: str, fill: Callable[[Path], object], is_good: Callable[[Path], bool] = lambda folder: True
    ) -> Path:
        """Return the folder of an entry, letting ``fill`` write it into an empty folder where it is not there.

        Args:
            name: of the entry.
            fill: writes the files.
            is_good: tells whether an entry that is there still is what is wanted; else it is made anew.

        Raises:
            UnavailableError: the folder cannot be written.
        """
        with self._locks[hash(name) % _LOCKS]:
            found = self.get(name)
            if found is not None and is_good(found):
                return found
            with self._draft() as draft:
                fill(draft)
                size = _size(draft)
                self._put(draft, self._folder(name), replace=found is not None)
            self._added(size)
        return self._folder(name)

    def shrink(self) -> None:
        """Look at what there is and remove what was used longest ago until the rest fits."""
        entries = sorted(self._entries(), key=lambda entry: entry[1])
        total = sum(size for _, _, size in entries)
        for folder, _, size in entries:
            if total <= self.limit:
                break
            if self._removed(folder):
                total -= size
        if total > self.limit:
            logger.info("a cache takes %d MB, more than its limit: all of it is in use", total >> 20)
        self.size, self._looked = total, time.monotonic()

    def _added(self, size: int) -> None:
        """Count a new entry, and look whether all fits."""
        self.size += size
        due = self._looked is None or time.monotonic() - self._looked >= _LOOK_EVERY_S
        if due or self.size > self.limit:
            self.shrink()

    def _entries(self) -> Iterator[tuple[Path, float, int]]:
        """Yield folder, time of last use and bytes of each entry."""
        with suppress(FileNotFoundError):
            for entry in os.scandir(self.root):
                if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
                    with suppress(FileNotFoundError):
                        yield Path(entry.path), entry.stat().st_mtime, _size(Path(entry.path))

    def _removed(self, folder: Path) -> bool:
        """Remove an entry, unless somebody asked for it a moment ago."""
        away = folder.with_name(f"{_OLD}{secrets.token_hex(8)}")
        with self._rooted(fcntl.LOCK_EX):
            try:
                # A time ahead of now is a clock that was set back since: it says nothing, so it protects nothing.
                if 0 <= time.time() - folder.stat().st_mtime < self._grace_s:
                    return False
                os.rename(folder, away)
            except FileNotFoundError:
                return True
        shutil.rmtree(away, ignore_errors=True)
        return True

    def _put(self, draft: Path, folder: Path, *, replace: bool) -> None:
        """Put a draft in place; where another process was first, its entry stays unless it is to be replaced."""
        away = folder.with_name(f"{_OLD}{secrets.token_hex(8)}")
        with self._rooted(fcntl.LOCK_EX):
            if folder.exists():
                if not replace:
                    return
                os.rename(folder, away)
            os.rename(draft, folder)
            os.utime(folder)
        shutil.rmtree(away, ignore_errors=True)

    @contextmanager
    def _draft(self) -> Iterator[Path]:
        """Give an empty folder that nobody sweeps away while the block runs; gone afterwards unless it was moved."""
        draft = self.root / f"{_DRAFT}{secrets.token_hex(8)}"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with self._rooted(fcntl.LOCK_SH):
                draft.mkdir()
                handle = os.open(draft, os.O_RDONLY | os.O_DIRECTORY)
                fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError as error:
            raise UnavailableError(f"the cache cannot be written to ({error.strerror}): look at its disk") from None
        try:
            yield draft
        finally:
            os.close(handle)
            shutil.rmtree(draft, ignore_errors=True)

    def _clean(self) -> None:
        """Remove what processes that were killed left behind."""
        if not self.root.is_dir():
            return
        with suppress(OSError), self._rooted(fcntl.LOCK_EX):
            for entry in list(os.scandir(self.root)):
                if entry.name.startswith(_LEFT_BEHIND) and not _is_locked(entry.path):
                    shutil.rmtree(entry.path, ignore_errors=True)

    @contextmanager
    def _rooted(self, kind: int) -> Iterator[None]:
        """Hold the lock of the root."""
        try:
            handle = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            yield  # nothing is there that could be taken away
            return
        try:
            fcntl.flock(handle, kind)
            yield
        finally:
            os.close(handle)

    def _folder(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise InputError(f"expected letters, digits, '.', '-' and '_' as a name in a cache, got {name[:80]!r}")
        return self.root / name


def _size(folder: Path) -> int:
    """Return the bytes of the files in a folder."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(path, name)).st_size
    return total


def _is_locked(path: str) -> bool:
    """Tell whether a process that lives writes a draft."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
