"""No space left: a label is refused with 507 and nothing of it stays, and it is taken once there is space again."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dicom.phantoms import GRIDS, sample, write_nifti
from tests.faults.machine import Machine, answers_as_labels, machine, refused, write_studies
from tests.serving import ROOT

GRID = GRIDS["axial"]
_SMALL = "-t tmpfs -o size=6m tmpfs"
# A label is 32 kB here, so that every step of a save meets the end of the disk once: the file, the index, the copy.
_LEFT = (0, 4, 12, 36, 40, 48, 64, 80, 100, 130)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Machine]:
    """A server whose labels lie on a small disk."""
    write_studies(tmp_path / "studies", GRID)
    with machine(tmp_path / "studies", tmp_path, {tmp_path / "labels": _SMALL}) as server:
        yield server


def _write_for_ever(file: io.RawIOBase) -> None:
    while True:
        file.write(b"x" * 4096)


def fill(filler: Path, left_kb: int) -> None:
    """Use up a disk but for some kilobytes."""
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        _write_for_ever(file)
    size = filler.stat().st_size
    with filler.open("r+b") as file:
        file.truncate(size - 1024 * left_kb)


def test_a_label_is_refused_and_taken_later(small: Machine, tmp_path: Path) -> None:
    first, second = answers_as_labels(small, "case0", 2)
    assert small.save("case0", first).status_code == 200
    filler = small.inside(tmp_path / "labels" / "filler")
    fill(filler, 0)
    for _ in range(3):
        refused(small.save("case0", second), 507, says=("space",))
        small.is_well()
    assert small.label("case0").content == first
    assert small.infer("case1").status_code == 200
    filler.unlink()
    assert small.save("case0", second).status_code == 200
    assert small.label("case0").content == second
    small.is_well()


def test_wherever_in_a_save_the_disk_ends(small: Machine, tmp_path: Path) -> None:
    labels = answers_as_labels(small, "case0", len(_LEFT) + 1)
    newest = labels.pop()
    assert small.save("case0", newest).status_code == 200
    filler, refusals = small.inside(tmp_path / "labels" / "filler"), 0
    for left_kb, label in zip(_LEFT, labels, strict=True):
        fill(filler, left_kb)
        answer = small.save("case0", label)
        if answer.status_code == 200:
            newest = label
        else:
            refused(answer, 507, says=("space",))
            refusals += 1
        assert small.label("case0").content == newest, f"with {left_kb} kB left"
        small.is_well()
        filler.unlink()
        assert small.label("case0").content == newest
    assert refusals >= 3, "the disk was never full: the test saw nothing"
    assert small.save("case1", newest).status_code == 200
    small.is_well()


def test_no_space_for_what_a_request_brings(tmp_path: Path) -> None:
    write_studies(tmp_path / "studies", GRID)
    temporary, cache = tmp_path / "temporary", tmp_path / "cache"
    disks = {temporary: _SMALL, cache: _SMALL}
    own = write_nifti(tmp_path / "own.nii.gz", GRID, sample(GRID)).read_bytes()
    with machine(tmp_path / "studies", tmp_path, disks, {"TMPDIR": str(temporary)}) as server:
        (label,) = answers_as_labels(server, "case0", 1)
        for folder in disks:
            filler = server.inside(folder / "filler")
            fill(filler, 0)
            big = own + b"\0" * (2 << 20)  # beyond what is kept in memory
            refused(server.ask("PUT", "/session/", files={"files": ("own.nii.gz", big)}), 507)
            server.is_well()
            assert server.infer("case0").status_code == 200
            filler.unlink()
        assert server.save("case0", label).status_code == 200
        assert server.ask("PUT", "/session/", files={"files": ("own.nii.gz", own)}).status_code == 200
        server.is_well()
        left = [path for path in server.inside(temporary).rglob("*") if path.is_file()]
        assert not left, "temporary files outlive their request"


def test_what_stays_is_whole(small: Machine, tmp_path: Path) -> None:
    labels = answers_as_labels(small, "case0", 6)
    kept = []
    for left_kb, label in zip((0, 20, 40, 60, 80, 200), labels, strict=True):
        filler = small.inside(tmp_path / "labels" / "filler")
        fill(filler, left_kb)
        if small.save("case0", label).status_code == 200:
            kept.append(label)
        filler.unlink()
    # Within: SQLite follows the way by which this process looks in to the end.
    call = f"mend(pathlib.Path('{tmp_path / 'labels'}'))"
    mending = f"import pathlib; from tests.faults.machine import mend; {call}"
    small.run(f"cd '{ROOT}' && '{sys.executable}' -c \"{mending}\"")
    assert kept
    assert small.label("case0").content == kept[-1]
