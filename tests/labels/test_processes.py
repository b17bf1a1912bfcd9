"""Several processes save at once, and some of them die in the middle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.labels.made import ANNA, label, value_of
from tumorseg.labels.fsck import examine
from tumorseg.labels.history import LabelHistory
from tumorseg.labels.objects import digest_of

ROOT = Path(__file__).parents[2]


def saving(root: Path, scratch: Path, author: str, count: int, mode: str) -> subprocess.Popen[str]:
    """Start a process that saves labels and says which were acknowledged."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-m", "tests.labels.made", str(root), str(scratch), author, str(count), mode]
    return subprocess.Popen(words, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)


def acknowledged(text: str) -> list[tuple[str, str, int]]:
    """Return (uid, digest, value) of every whole line."""
    lines = [line.split() for line in text.splitlines(keepends=True) if line.endswith("\n")]
    return [(uid, digest, int(value)) for uid, digest, value in lines]


def check_kept(root: Path, told: list[tuple[str, str, int]]) -> None:
    history = LabelHistory(root)
    for uid, digest, value in told:
        version = history.version(uid)
        assert digest_of(history.path(version)) == digest
        assert value_of(history.path(version)) == value
        assert history.version_files.path(version).exists()
    history.close()


def test_a_second_process_makes_nothing_vanish(tmp_path: Path) -> None:
    root = tmp_path / "labels"
    processes = [saving(root, tmp_path / "files", f"person{n}", 12, "shared") for n in range(4)]
    told = [line for process in processes for line in acknowledged(process.communicate(timeout=120)[0])]
    assert len(told) == 48
    check_kept(root, told)
    history = LabelHistory(root)
    assert sorted(version.seq for version in history.versions("shared")) == list(range(1, 49))
    assert [version.author for version in history.heads("shared", "final")] == [f"person{n}" for n in range(4)]
    head = history.head("shared", "final")
    assert head is not None
    assert digest_of(root / "final" / "shared.nii.gz") == head.sha256
    assert examine(root).problems == ()


def test_kill_9_loses_no_acknowledged_label(tmp_path: Path) -> None:
    root, told = tmp_path / "labels", []
    for round_ in range(4):
        processes = [saving(root, tmp_path / "files", f"r{round_}p{n}", 500, "own") for n in range(2)]
        for number, process in enumerate(processes):
            assert process.stdout is not None
            first = process.stdout.readline()
            time.sleep(0.011 * (round_ + 1) + 0.007 * number)
            process.send_signal(signal.SIGKILL)
            told += acknowledged(first + process.communicate(timeout=60)[0])
    assert len(told) >= 8
    check_kept(root, told)
    # What a crash leaves is harmless: every version is whole, and the rest is cleared away.
    report = examine(root, repair=True, orphan_age_s=-1)
    assert {problem.kind for problem in report.problems} <= {
        "beside_lost",
        "copy_differs",
        "copy_new",
        "orphan",
        "draft",
    }
    assert report.unsolved == ()
    assert examine(root, orphan_age_s=-1).problems == ()
    check_kept(root, told)


def test_two_retries_of_one_save_race_to_one_version(tmp_path: Path) -> None:
    file, histories = label(tmp_path / "a.nii.gz"), [LabelHistory(tmp_path / "labels") for _ in range(2)]
    start = threading.Barrier(8)

    def save(number: int) -> str:
        start.wait()
        return histories[number % 2].save("case", "final", file, ANNA, {"x": 1}).uid

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(save, range(8)))) == 1
    assert len(histories[0].versions("case")) == 1


def test_of_two_editors_who_began_with_one_version_one_is_refused(tmp_path: Path) -> None:
    from tumorseg.errors import ConflictError

    history = LabelHistory(tmp_path / "labels")
    first = history.save("case", "final", label(tmp_path / "a.nii.gz"), ANNA)
    files = [label(tmp_path / f"{value}.nii.gz", value) for value in range(2, 8)]
    start = threading.Barrier(len(files))

    def save(file: Path) -> bool:
        start.wait()
        try:
            history.save("case", "final", file, ANNA, expected_parent=first.uid)
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(len(files)) as pool:
        assert list(pool.map(save, files)).count(True) == 1
    assert len(history.versions("case")) == 2
