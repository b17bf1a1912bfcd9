"""A process that saves labels until it is killed: ``python -m benchmarks.crash.writer ROOT IMAGES``.

It reads one job number a line and writes what it does, one line each: ``begin N`` before a save, ``done N UID`` after
the save returned. ``--acknowledge-first`` is a broken writer that says ``done`` before: it is there to show that the
check finds what it is to find.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from benchmarks.crash.job import Job
from tumorseg.labels.history import LabelHistory
from tumorseg.labels.types import Provenance

BROKEN = "--acknowledge-first"


def main(root: str, images: int, broken: bool) -> None:
    """Save what is asked for."""
    history = LabelHistory(Path(root))
    # Beside the labels: whoever is killed leaves its folder to those who tidy up theirs.
    with tempfile.TemporaryDirectory(prefix="writer-", dir=Path(root).parent) as folder:
        for line in sys.stdin:
            job = Job(int(line), images)
            file = Path(folder) / "label.nrrd"
            file.write_bytes(job.content())
            _say(f"begin {job.number}")
            if broken:
                _say(f"done {job.number} -")
            version = history.save(job.image, job.tag, file, Provenance("crash"), {"job": job.number})
            if not broken:
                _say(f"done {job.number} {version.uid}")


def _say(text: str) -> None:
    """Write a line in one call: it is in the pipe whole, or not at all."""
    os.write(1, f"{text}\n".encode())


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), BROKEN in sys.argv)
