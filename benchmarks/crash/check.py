"""What is left of the labels: every acknowledged one, and nothing that is half there.

It reads the folder by itself where it can (digests, the plain layout), so that a fault in the history's own reading
does not hide one in its writing.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.crash.job import SHAPE, TAGS, Job
from tumorseg.errors import TumorSegError
from tumorseg.labels.fsck import examine
from tumorseg.labels.history import LabelHistory


@dataclass(frozen=True)
class Found:
    """What the check found.

    Attributes:
        lost: acknowledged labels that are not there, in words.
        half_written: files that are not what they say they are, in words.
    """

    lost: list[str]
    half_written: list[str]


def check(root: Path, acknowledged: Iterable[int], images: int) -> Found:
    """Check a folder of labels after its writers are gone."""
    half = list(_mend(root))
    history = LabelHistory(root)
    try:
        lost = [said for number in acknowledged if (said := _missing(history, Job(number, images)))]
        half += [*_damaged_objects(history), *_damaged_versions(history, images), *_damaged_copies(history, images)]
    finally:
        history.close()
    return Found(lost, half)


def _mend(root: Path) -> Iterator[str]:
    """Have fsck repair what a crash leaves, and yield what it finds after that."""
    # Age 0: nobody saves any more, so whatever no version refers to was cut short.
    examine(root, repair=True, orphan_age_s=0)
    yield from (f"{one.kind} {one.what}: {one.message}" for one in examine(root, orphan_age_s=0).problems)


def _missing(history: LabelHistory, job: Job) -> str:
    """Say in what way an acknowledged label is not there; ``""`` where it is."""
    content = job.content()
    digest = hashlib.sha256(content).hexdigest()
    kept = [version for version in history.versions(job.image, job.tag) if version.sha256 == digest]
    if not kept:
        return f"label {job.number}: no version of {job.tag}/{job.image} has its content"
    try:
        same = history.path(history.version(kept[-1].uid)).read_bytes() == content
    except (TumorSegError, OSError) as error:
        return f"label {job.number}: {error}"
    return "" if same else f"label {job.number}: its file has another content"


def _damaged_objects(history: LabelHistory) -> Iterator[str]:
    """Yield kept files whose content is not what their name says."""
    for path in history.objects.files():
        if hashlib.sha256(path.read_bytes()).hexdigest() != path.name.partition(".")[0]:
            yield f"{path.name} has another content than its name says"


def _damaged_versions(history: LabelHistory, images: int) -> Iterator[str]:
    """Yield versions, acknowledged or not, whose file cannot be read."""
    for number in range(images):
        for version in history.versions(f"case{number}"):
            try:
                history.path(version)
            except TumorSegError as error:
                yield str(error)


def _damaged_copies(history: LabelHistory, images: int) -> Iterator[str]:
    """Yield files of the plain layout that another tool would find incomplete or out of date."""
    for tag in TAGS:
        for number in range(images):
            head = history.head(f"case{number}", tag)
            path = history.root / tag / f"case{number}.nrrd"
            if head is None:
                continue
            if not path.is_file():
                yield f"{tag}/{path.name} is not there, its version {head.uid} is"
            elif hashlib.sha256(path.read_bytes()).hexdigest() != head.sha256:
                yield f"{tag}/{path.name} is not its newest version {head.uid}"
            elif len(gzip.decompress(path.read_bytes().partition(b"\n\n")[2])) != SHAPE[0] * SHAPE[1] * SHAPE[2]:
                yield f"{tag}/{path.name} cannot be read whole"
