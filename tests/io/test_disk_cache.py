"""A cache on disk that does not grow for ever, and takes nothing away from who reads it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tumorseg.errors import InputError, UnavailableError
from tumorseg.io.disk_cache import DiskCache

KILO = 1024


def write(folder: Path, size: int = KILO) -> None:
    (folder / "data").write_bytes(b"x" * size)


def names(root: Path) -> set[str]:
    return {path.name for path in root.iterdir()}


def age(root: Path, name: str, seconds: float) -> None:
    """Let an entry have been used so long ago."""
    os.utime(root / name, (time.time() - seconds,) * 2)


def test_an_entry_is_made_once(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, 10 * KILO)
    made = []
    for _ in range(3):
        folder = cache.filled("a", lambda draft: (made.append(1), write(draft)))
        assert (folder / "data").read_bytes() == b"x" * KILO
    assert len(made) == 1
    assert cache.get("a") == tmp_path / "a"
    assert cache.get("b") is None
    assert names(tmp_path) == {"a"}


def test_what_was_used_longest_ago_makes_way(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, 3 * KILO)
    for name, seconds in (("a", 5000), ("b", 9000), ("c", 7000)):
        cache.filled(name, write)
        age(tmp_path, name, seconds)
    cache.get("b")  # used again
    cache.filled("d", write)
    assert names(tmp_path) == {"a", "b", "d"}
    assert cache.size == 3 * KILO


def test_what_was_just_asked_for_stays_even_beyond_the_limit(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, KILO)
    folders = [cache.filled(name, write) for name in "abc"]
    assert all((folder / "data").is_file() for folder in folders)
    for name in "abc":
        age(tmp_path, name, 5000)
    cache.filled("d", write)
    assert names(tmp_path) == {"d"}


def test_a_time_of_use_ahead_of_a_clock_that_was_set_back_protects_nothing(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, KILO)
    cache.filled("a", write)
    age(tmp_path, "a", -5000)
    cache.filled("b", write)
    assert names(tmp_path) == {"b"}


def test_an_entry_that_is_no_longer_what_is_wanted_is_made_anew(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, 10 * KILO)
    cache.filled("a", write)
    folder = cache.filled("a", lambda draft: write(draft, 7), lambda there: (there / "data").stat().st_size == 7)
    assert (folder / "data").stat().st_size == 7
    assert names(tmp_path) == {"a"}


def test_a_failed_fill_leaves_nothing(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, 10 * KILO)

    def fail(draft: Path) -> None:
        write(draft)
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        cache.filled("a", fail)
    assert names(tmp_path) == set()
    assert cache.filled("a", write).is_dir()


@pytest.mark.parametrize("name", ["..", ".hidden", "a/b", "", "/etc", "a\0b", "x" * 200])
def test_a_name_is_never_a_path(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        DiskCache(tmp_path, KILO).filled(name, write)
    assert names(tmp_path) == set()


def test_a_cache_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(UnavailableError, match="cannot be written"):
        DiskCache(tmp_path / "file", KILO).filled("a", write)


def test_what_a_killed_process_left_is_removed_and_a_living_ones_draft_is_not(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from tumorseg.io.disk_cache import DiskCache\n"
        "def fill(draft):\n"
        "    (draft / 'half').write_text('x'); print('filling', flush=True); time.sleep(600)\n"
        "DiskCache(Path(sys.argv[1]), 1000).filled('a', fill)\n"
    )
    for folder in (".fetching-abc", ".old-def"):
        (tmp_path / folder).mkdir()
    with subprocess.Popen([sys.executable, "-c", program, tmp_path], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "filling\n"
            DiskCache(tmp_path, KILO)
            (draft,) = names(tmp_path)
            assert draft.startswith(".draft-")
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait(30)
    DiskCache(tmp_path, KILO)
    assert names(tmp_path) == set()


def test_threads_that_want_the_same_make_it_once(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, 10 * KILO)
    made = []

    def slow(draft: Path) -> None:
        made.append(1)
        time.sleep(0.2)
        write(draft)

    threads = [threading.Thread(target=cache.filled, args=("a", slow)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(made) == 1


def test_processes_share_a_cache_and_every_entry_is_whole(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    failures = spawn.Queue()
    processes = [spawn.Process(target=fill_only, args=(tmp_path, seed, failures)) for seed in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    assert failures.empty()
    assert not [name for name in names(tmp_path) if name.startswith(".")]
    time.sleep(1.1)
    DiskCache(tmp_path, 2 * KILO, grace_s=1.0).shrink()
    assert len(names(tmp_path)) == 2


def fill_only(root: Path, seed: int, failures: multiprocessing.Queue[str]) -> None:
    """Fill a cache that is always too small, reading at once what was asked for."""
    cache = DiskCache(root, 2 * KILO, grace_s=1.0)
    for step in range(400):
        name = f"e{(step * (seed + 3)) % 211}"
        try:
            if (cache.filled(name, write) / "data").stat().st_size != KILO:
                failures.put(f"{name} is not whole")
        except OSError as error:
            failures.put(f"{name}: {error}")
        time.sleep(0.005)
        cache.shrink()
