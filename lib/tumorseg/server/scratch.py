"""Where what requests bring is kept while they run: a folder of this process, gone when it ends.

A server that was killed leaves its folder behind; the next one on the same cache removes it. Which folders still have
a server is told by a lock that the system takes back however a process ends, so that servers that share a cache do
not remove each other's.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tumorseg.errors import UnavailableError


class Scratch:
    """The temporary folder of one server.

    Args:
        root: where the servers of one cache have their temporary folders.
    """

    def __init__(self, root: Path) -> None:
        self.folder = root / f"{os.getpid()}-{secrets.token_hex(4)}"
        self._lock = -1
        self._making = threading.Lock()
        _sweep(root)

    def own(self) -> Path:
        """Return the folder of this server, making it first.

        Raises:
            UnavailableError: the cache cannot be written to.
        """
        try:
            with self._making:
                while self._lock < 0 or not self.folder.is_dir():  # swept between being made and being locked
                    self.folder.mkdir(parents=True, exist_ok=True)
                    self._release()
                    self._lock = _locked(self.folder)
        except OSError as error:
            raise UnavailableError(
                f"the server cannot keep what was sent ({error.strerror}): its cache must be a folder it can write to"
            ) from None
        return self.folder

    def new_folder(self) -> Path:
        """Make an empty folder; who asks for it removes it."""
        folder = self.own() / secrets.token_hex(8)
        folder.mkdir()
        return folder

    @contextmanager
    def lent(self) -> Iterator[Path]:
        """Give an empty folder for as long as the block runs."""
        folder = self.new_folder()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Remove everything."""
        with self._making:
            shutil.rmtree(self.folder, ignore_errors=True)
            self._release()

    def _release(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _locked(folder: Path) -> int:
    """Open a folder and lock it for as long as it is open; BlockingIOError where another process has it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _sweep(root: Path) -> None:
    """Remove the folders whose server is gone."""
    for folder in root.iterdir() if root.is_dir() else ():
        try:
            descriptor = _locked(folder)
        except OSError:
            continue
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)
