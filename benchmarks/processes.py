"""What a process and its children use, read from ``/proc`` (Linux)."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from types import TracebackType

_PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def family(pid: int) -> list[int]:
    """Return ``pid`` and all its descendants that are alive."""
    children: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for one in found:
        found.extend(children.get(one, []))
    return found


def cpu_seconds(pid: int) -> float:
    """Processor time that a process, its threads and its children have used so far (user and system)."""
    ticks = 0
    for one in family(pid):
        fields = _stat(one)
        ticks += sum(int(value) for value in fields[11:15]) if fields else 0
    return ticks / _TICKS


def resident_mb(pid: int) -> float:
    """Memory that a process and its children hold at this moment, MB (what they share counts for each)."""
    pages = 0
    for one in family(pid):
        try:
            pages += int((_PROC / str(one) / "statm").read_text().split()[1])
        except (OSError, IndexError):
            continue  # ended meanwhile
    return pages * _PAGE / 1e6


def peak_mb(pid: int) -> float:
    """Largest memory that this one process ever held, MB, as the kernel counted it."""
    status = (_PROC / str(pid) / "status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6


class MemoryWatch:
    """Samples the memory of a process with its children while a ``with`` block runs.

    Attributes:
        peak: the largest sum seen, MB; never less than the kernel's own peak of the process itself.
    """

    def __init__(self, pid: int, interval_s: float = 0.1) -> None:
        self.peak = 0.0
        self._pid, self._interval = pid, interval_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        if (_PROC / str(self._pid)).exists():
            self.peak = max(self.peak, peak_mb(self._pid))

    def _sample(self) -> None:
        while not self._stop.wait(self._interval):
            self.peak = max(self.peak, resident_mb(self._pid))


def _stat(pid: int) -> list[str]:
    """Return the fields of ``/proc/<pid>/stat`` after the name (state, parent, …); none where it has ended."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
