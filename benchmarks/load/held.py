"""What a server holds on to: memory, open files, threads, temporary files, its cache."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import linear_regression

from benchmarks.processes import family, resident_mb

#: What may be added over ten thousand requests after the warm-up, as numbers of the attributes of :class:`Held`.
#: Memory: what an allocator's free lists wander by; one kept object of a kilobyte for each request would be 10 MB.
#: Files and threads: the pool of threads grows and shrinks within its bounds, and each thread has its own connection
#: to the index; one file kept open by each hundredth request would be 100.
ALLOWED = {"memory_mb": 10.0, "files": 20, "threads": 10, "temporary": 0, "cache_kb": 64}


@dataclass(frozen=True)
class Held:
    """One look at a server that has nothing to do.

    Attributes:
        requests: answered so far.
        memory_mb: resident memory of the process and its children.
        files: open file descriptors.
        threads: threads.
        temporary: files and folders where requests put what they bring.
        cache_kb: size of its cache folder, kB.
    """

    requests: int
    memory_mb: float
    files: int
    threads: int
    temporary: int
    cache_kb: float


def look(pid: int, requests: int, temporary: Sequence[Path], cache: Path) -> Held:
    """Look at a server's process and folders."""
    pids = [Path("/proc") / str(one) for one in family(pid)]
    return Held(
        requests,
        round(resident_mb(pid), 1),
        sum(len(os.listdir(one / "fd")) for one in pids),
        sum(len(os.listdir(one / "task")) for one in pids),
        sum(1 for folder in temporary for _ in folder.rglob("*")),
        round(sum(path.stat().st_size for path in cache.rglob("*") if path.is_file()) / 1000, 1),
    )


def growth(seen: Sequence[Held], per: int = 10_000) -> dict[str, float]:
    """Return by how much each number grows over ``per`` requests: the slope of a line through all looks."""
    requests = [one.requests for one in seen]
    return {
        name: round(per * linear_regression(requests, [getattr(one, name) for one in seen]).slope, 2)
        for name in ALLOWED
    }


def excess(grown: dict[str, float]) -> list[str]:
    """Say what grows by more than is allowed."""
    return [
        f"{name} grows by {value:g} over 10,000 requests, {ALLOWED[name]:g} are allowed"
        for name, value in grown.items()
        if value > ALLOWED[name]
    ]
