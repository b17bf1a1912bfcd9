"""A job's log: a file that several writers append to, and that stays small."""

from __future__ import annotations

import io
import os
import re
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

#: Bytes. The beginning says what was asked for, the end what went wrong; the middle is what can go.
LIMIT = 4 << 20
_LONGEST_LINE = 8192  # characters
_BLOCK = 16 << 10  # bytes
_DROPPED = "... lines were dropped here, so that this log stays small ..."
#: Name and password in an address; studies may lie behind one, and libraries quote it.
_SECRET = re.compile(r"//[^/@\s'\"]+@")


def without_secrets(text: str) -> str:
    """Take names and passwords out of the addresses in a text."""
    return _SECRET.sub("//***@", text)


class Log:
    """Lines with a time, appended to a file.

    A log that cannot be written (disk full) does not stop the work that it is about.

    Args:
        path: the file; it is made where there is none.
        limit: bytes above which the middle is dropped.
        also: file descriptors that lead to the same file (standard output), and have to follow when it is replaced.
    """

    def __init__(self, path: Path, *, limit: int = LIMIT, also: Sequence[int] = ()) -> None:
        self.path = path
        self._limit = limit
        self._also = also
        self._lock = threading.RLock()  # a signal's handler may log while a line is written

    def line(self, text: str) -> None:
        """Append a text; each of its lines gets the time."""
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
        lines = [f"{now} {line[:_LONGEST_LINE]}\n" for line in without_secrets(text).splitlines()]
        data = "".join(lines).encode("utf-8", "replace")
        with self._lock, suppress(OSError):
            with self.path.open("ab") as file:
                file.write(data)
            self.trim()

    def trim(self) -> None:
        """Drop the middle where the file became too large."""
        with self._lock, suppress(OSError):
            if self.path.stat().st_size > self._limit:
                self._rewrite()

    def _rewrite(self) -> None:
        """Replace the file in one step by its first quarter and its last half."""
        with self.path.open("rb") as file:
            head = file.read(self._limit // 4)
            file.seek(-(self._limit // 2), os.SEEK_END)
            tail = file.read()
        kept = head[: head.rfind(b"\n") + 1] + f"{_DROPPED}\n".encode() + tail[tail.find(b"\n") + 1 :]
        smaller = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        smaller.write_bytes(kept)
        os.replace(smaller, self.path)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        for other in self._also:
            os.dup2(descriptor, other)
        os.close(descriptor)


def read(path: Path, last: int | None = None) -> list[str]:
    """Return the lines of a log, of which ``last`` ones where that is given; none where there is no log yet."""
    try:
        with path.open("rb") as file:
            data = file.read() if last is None else _tail(file, last)
    except FileNotFoundError:
        return []
    lines = data.decode("utf-8", "replace").splitlines()
    return lines if last is None else lines[max(len(lines) - last, 0) :]


def _tail(file: IO[bytes], lines: int) -> bytes:
    """Return the end of a file with at least so many lines, where it has them: viewers ask for a few, often."""
    size = file.seek(0, os.SEEK_END)
    span = min(size, _BLOCK)
    while True:
        file.seek(size - span)
        data = file.read(span)
        if span == size or data.count(b"\n") > lines:
            return data
        span = min(size, 4 * span)


class LineWriter(io.TextIOBase):
    """Stands for standard output: passes on whole lines, and of a progress bar only what it shows at last.

    Args:
        line: what takes a line.
        descriptor: of the stream that it stands for, for libraries that ask.
    """

    def __init__(self, line: Callable[[str], None], descriptor: int) -> None:
        self._line = line
        self._descriptor = descriptor
        self._rest = ""

    def writable(self) -> bool:
        """Say that it can be written to."""
        return True

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def write(self, text: str, /) -> int:
        """Take a piece of text."""
        *whole, rest = (self._rest + text).split("\n")
        self._rest = _shown(rest)[-_LONGEST_LINE:]
        self._pass_on(whole)
        return len(text)

    def end(self) -> None:
        """Pass on what has no line end."""
        rest, self._rest = self._rest, ""
        self._pass_on([rest])

    def _pass_on(self, lines: Iterable[str]) -> None:
        for line in lines:
            if shown := _shown(line.rstrip("\r")).rstrip():
                self._line(shown)


def _shown(line: str) -> str:
    """Return what of a line is left on a screen: what follows the last carriage return."""
    return line.rpartition("\r")[2]
