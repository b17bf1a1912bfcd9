"""Image files below a folder: always those that are there, without looking at all of them at every request."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from tumorseg.adapters import file_list
from tumorseg.adapters.file_list import FileList


@pytest.fixture
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileList:
    monkeypatch.setattr(file_list, "LOOK_AGAIN_S", 0.0)
    return FileList(tmp_path / "root", lambda name: ".img" if name.endswith(".img") else "", "labels")


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    return path


def long_ago(*folders: Path) -> None:
    for folder in folders:
        os.utime(folder, (1_000_000_000, 1_000_000_000))


def test_ids_are_names_with_their_folders(listed: FileList) -> None:
    root = listed.root
    for name in ("b.img", "a.img", "f/c.img", "f/labels/d.img", "labels/final/e.img", ".h/f.img", ".g.img", "h.txt"):
        put(root / name)
    assert listed.ids() == ["a", "b", "f__c", "f__labels__d"]
    assert listed.files()["f__c"] == root / "f" / "c.img"


def test_links_that_lead_out_are_left_out(listed: FileList, tmp_path: Path) -> None:
    outside = put(tmp_path / "outside" / "x.img")
    put(listed.root / "a.img")
    (listed.root / "out.img").symlink_to(outside)
    (listed.root / "in.img").symlink_to(listed.root / "a.img")
    (listed.root / "broken.img").symlink_to(tmp_path / "nothing")
    (listed.root / "folder").symlink_to(tmp_path / "outside")
    assert listed.ids() == ["a", "in"]


def test_every_change_is_seen_at_the_next_look(listed: FileList) -> None:
    deep = put(listed.root / "one" / "two" / "a.img")
    long_ago(listed.root, deep.parent, deep.parent.parent)
    assert listed.ids() == ["one__two__a"]
    put(deep.with_name("b.img"))
    assert listed.ids() == ["one__two__a", "one__two__b"]
    deep.unlink()
    assert listed.ids() == ["one__two__b"]
    put(listed.root / "three" / "c.img")
    assert listed.ids() == ["one__two__b", "three__c"]
    listed.root.rename(listed.root.with_name("away"))
    assert listed.ids() == []
    listed.root.with_name("away").rename(listed.root)
    assert listed.ids() == ["one__two__b", "three__c"]


def test_a_change_within_one_tick_of_the_clock_is_seen(listed: FileList) -> None:
    """Two files come within a tick; the folder's time of change is the same after both."""
    put(listed.root / "a.img")
    now = time.time_ns()
    os.utime(listed.root, ns=(now, now))
    assert listed.ids() == ["a"]
    put(listed.root / "b.img")
    os.utime(listed.root, ns=(now, now))
    assert listed.ids() == ["a", "b"]


def test_an_unchanged_folder_is_not_listed_again(listed: FileList, monkeypatch: pytest.MonkeyPatch) -> None:
    put(listed.root / "f" / "a.img")
    long_ago(listed.root, listed.root / "f")
    assert listed.ids() == ["f__a"]
    scans: list[str] = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: scans.append(str(path)) or scandir(path))
    for _ in range(10):
        assert listed.ids() == ["f__a"]
    assert scans == []
    put(listed.root / "f" / "b.img")
    assert listed.ids() == ["f__a", "f__b"]
    assert scans


def test_one_looks_and_the_others_go_on(listed: FileList, monkeypatch: pytest.MonkeyPatch) -> None:
    put(listed.root / "a.img")
    assert listed.ids() == ["a"]
    looking, go_on = threading.Event(), threading.Event()
    scandir = os.scandir

    def slow(path: str) -> object:
        looking.set()
        assert go_on.wait(30)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", slow)
    put(listed.root / "b.img")
    thread = threading.Thread(target=listed.ids)
    thread.start()
    assert looking.wait(30)
    assert listed.ids() == ["a"]  # at once, while the other still looks
    go_on.set()
    thread.join()
    assert listed.ids() == ["a", "b"]


def test_a_file_of_ones_own_is_listed_at_once(tmp_path: Path) -> None:
    listed = FileList(tmp_path, lambda name: ".img" if name.endswith(".img") else "", "labels")
    assert listed.ids() == []
    put(tmp_path / "a.img")
    listed.forget()
    assert listed.ids() == ["a"]
