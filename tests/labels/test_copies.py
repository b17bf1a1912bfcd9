"""The plain layout is a copy: other tools read it, and what they put there becomes a version."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.labels.made import ANNA, BERT, label, value_of
from tumorseg.labels import copies
from tumorseg.labels.history import LabelHistory
from tumorseg.labels.layout import PlainLayout, image_of, suffix_of_label

#: An image, a picture format's worth of endings, and what MONAI Label's own store needs to list it.
IMAGE = "case.nii.gz"


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LabelHistory:
    monkeypatch.setattr(copies, "LOOK_EVERY_S", 0.0)
    return LabelHistory(tmp_path / "labels")


def stock_store(folder: Path) -> Any:
    from monailabel.datastore.local import LocalDatastore

    return LocalDatastore(str(folder), extensions=("*.nii.gz", "*.nrrd"), auto_reload=False)


def test_the_copy_is_no_link_to_what_is_kept(history: LabelHistory, tmp_path: Path) -> None:
    kept = history.save("case", "final", label(tmp_path / "a.nii.gz", 1), ANNA)
    copy = history.root / "final" / "case.nii.gz"
    assert copy.stat().st_nlink == 1
    assert not copy.is_symlink()
    shutil.copyfile(label(tmp_path / "b.nii.gz", 2), copy)
    assert value_of(history.path(kept)) == 1


def test_the_newest_label_and_what_is_said_of_it_lie_there(history: LabelHistory, tmp_path: Path) -> None:
    history.save("case", "final", label(tmp_path / "a.nii.gz", 1), ANNA, {"label_info": [1]})
    newest = history.save("case", "final", label(tmp_path / "b.nii", 2), BERT, {"label_info": [2]})
    assert sorted(path.name for path in (history.root / "final").iterdir()) == ["case.info.json", "case.nii"]
    said = json.loads((history.root / "final" / "case.info.json").read_text())
    assert said["label_info"] == [2]
    assert (said["author"], said["version"], said["name"]) == ("bert", newest.uid, "case.nii")


def test_a_file_that_another_tool_puts_there_is_a_version(history: LabelHistory, tmp_path: Path) -> None:
    label(history.root / "final" / "case.nii.gz", 3)
    (history.root / "final" / "case.info.json").write_text('{"label_info": [3], "ts": 5, "name": "case.nii.gz"}')
    (history.root / "final" / "notes.txt").write_text("not a label")
    head = history.head("case", "final")
    assert head is not None
    assert (head.author, head.tool, head.kind) == ("unknown", "adopted", "label")
    assert head.info == {"label_info": [3]}
    assert history.counts() == {"final": 1}
    assert [version.uid for version in history.versions("case")] == [head.uid]


def test_a_file_that_another_tool_changes_is_a_version_after_ours(history: LabelHistory, tmp_path: Path) -> None:
    ours = history.save("case", "final", label(tmp_path / "a.nii.gz", 1), ANNA)
    label(history.root / "final" / "case.nii.gz", 2)
    head = history.head("case", "final")
    assert head is not None
    assert (head.author, head.seq) == ("unknown", ours.seq + 1)
    assert json.loads((history.root / "final" / "case.info.json").read_text())["version"] == head.uid
    assert value_of(history.path(head)) == 2
    assert history.head("case", "final", "anna") == ours


def test_what_another_tool_put_is_kept_before_a_save_takes_its_place(history: LabelHistory, tmp_path: Path) -> None:
    history.save("case", "final", label(tmp_path / "a.nii.gz", 1), ANNA)
    label(history.root / "final" / "case.nii.gz", 2)
    history.save("case", "final", label(tmp_path / "c.nii.gz", 3), ANNA)
    versions = history.versions("case")
    assert [version.author for version in versions] == ["anna", "unknown", "anna"]
    assert [value_of(history.path(version)) for version in versions] == [1, 2, 3]
    assert value_of(history.root / "final" / "case.nii.gz") == 3


def test_somebody_who_puts_an_older_label_back_is_heard(history: LabelHistory, tmp_path: Path) -> None:
    first = history.save("case", "final", label(tmp_path / "a.nii.gz", 1), ANNA)
    history.save("case", "final", label(tmp_path / "b.nii.gz", 2), ANNA)
    shutil.copyfile(history.path(first), history.root / "final" / "case.nii.gz")
    head = history.head("case", "final")
    assert head is not None
    assert (head.author, head.sha256) == ("unknown", first.sha256)
    history.remove("case", "final", ANNA)
    shutil.copyfile(history.path(first), history.root / "final" / "case.nii.gz")
    again = history.head("case", "final")
    assert again is not None
    assert again.seq > head.seq


def test_a_touched_copy_is_no_new_version(history: LabelHistory, tmp_path: Path) -> None:
    kept = history.save("case", "final", label(tmp_path / "a.nii.gz"), ANNA)
    os.utime(history.root / "final" / "case.nii.gz", (1, 1))
    assert history.head("case", "final") == kept
    assert history.versions("case") == [kept]


def test_a_copy_that_is_missing_comes_back(history: LabelHistory, tmp_path: Path) -> None:
    """The server died between the commit and the copy, or somebody deleted the file."""
    kept = history.save("case", "final", label(tmp_path / "a.nii.gz", 4), ANNA)
    (history.root / "final" / "case.nii.gz").unlink()
    assert history.counts() == {"final": 1}
    assert value_of(history.root / "final" / "case.nii.gz") == 4
    shutil.rmtree(history.root / "final")
    assert history.head("case", "final") == kept
    assert value_of(history.root / "final" / "case.nii.gz") == 4
    assert history.versions("case") == [kept]


def test_our_own_copy_whose_record_a_crash_lost_is_not_taken_for_a_strangers(
    history: LabelHistory, tmp_path: Path
) -> None:
    history.save("case", "final", label(tmp_path / "a.nii.gz", 1), ANNA)
    kept = history.save("case", "final", label(tmp_path / "b.nii.gz", 2), ANNA)
    with history.database.transaction() as connection:
        connection.execute("UPDATE copies SET seq = 1, size = 1, changed_ns = 1")
    assert history.head("case", "final") == kept
    with history.database.transaction() as connection:
        connection.execute("DELETE FROM copies")
    assert history.head("case", "final") == kept
    assert len(history.versions("case")) == 2


def test_a_copy_of_a_removed_label_is_cleared_away(history: LabelHistory, tmp_path: Path) -> None:
    history.save("case", "final", label(tmp_path / "a.nii.gz", 1), ANNA)
    recorded = history.database.rows("SELECT * FROM copies")[0]
    data = (history.root / "final" / "case.nii.gz").read_bytes()
    history.remove("case", "final", ANNA)
    (history.root / "final" / "case.nii.gz").write_bytes(data)  # as if the server had died before it was removed
    state = (history.root / "final" / "case.nii.gz").stat()
    with history.database.transaction() as connection:
        values = (*tuple(recorded)[:4], state.st_size, state.st_mtime_ns)
        connection.execute("INSERT INTO copies VALUES (?, ?, ?, ?, ?, ?)", values)
    assert history.counts() == {}
    assert list((history.root / "final").iterdir()) == []


def test_a_half_written_file_waits_until_it_is_whole(history: LabelHistory, tmp_path: Path) -> None:
    data = label(tmp_path / "a.nii.gz", 5).read_bytes()
    target = history.root / "final" / "case.nii.gz"
    target.parent.mkdir(parents=True)
    for length in (0, len(data) // 2, len(data) - 1):
        target.write_bytes(data[:length])
        assert history.head("case", "final") is None
        assert target.stat().st_size == length
    target.write_bytes(data)
    head = history.head("case", "final")
    assert head is not None
    assert value_of(history.path(head)) == 5


def test_no_file_that_somebody_put_there_is_thrown_away(history: LabelHistory, tmp_path: Path) -> None:
    target = history.root / "final" / "case.nii.gz"
    target.parent.mkdir(parents=True)
    target.write_bytes(b"no label")
    history.save("case", "final", label(tmp_path / "a.nii.gz", 1), ANNA)
    assert value_of(target) == 1
    assert [path.read_bytes() for path in (history.folder / "set-aside").iterdir()] == [b"no label"]


def test_of_two_files_for_one_label_the_later_is_the_newest(history: LabelHistory, tmp_path: Path) -> None:
    for name, value, when in (("case.nrrd", 1, 2_000_000_000), ("case.nii.gz", 2, 1_000_000_000)):
        path = history.root / "final" / name
        if name.endswith("nrrd"):
            import nrrd
            import numpy as np

            path.parent.mkdir(parents=True, exist_ok=True)
            nrrd.write(str(path), np.full((2, 2, 2), value, np.uint8))
        else:
            label(path, value)
        os.utime(path, (when, when))
    history.adopt()
    head = history.head("case", "final")
    assert head is not None
    assert head.suffix == ".nrrd"
    assert [version.suffix for version in history.versions("case")] == [".nii.gz", ".nrrd"]
    assert sorted(path.name for path in (history.root / "final").iterdir()) == ["case.info.json", "case.nrrd"]


def test_two_processes_take_a_file_over_once(tmp_path: Path) -> None:
    root = tmp_path / "labels"
    label(root / "final" / "case.nii.gz")
    one, other = LabelHistory(root), LabelHistory(root)
    one.adopt()
    other.adopt()
    assert len(one.versions("case")) == 1


def test_lookups_do_not_look_at_every_file_every_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history = LabelHistory(tmp_path / "labels")
    for number in range(3):
        label(history.root / "final" / f"case{number}.nii.gz", number + 1)
    scans: list[str] = []
    states = PlainLayout.states
    monkeypatch.setattr(PlainLayout, "states", lambda self, tag: scans.append(tag) or states(self, tag))
    for _ in range(50):
        assert history.counts() == {"final": 3}
    assert len(scans) == 1


def test_endings_that_contain_each_other() -> None:
    assert [suffix_of_label(name) for name in ("a.seg.nrrd", "a.nrrd", "a.nii.gz", "a.nii", "a.png")] == [
        ".seg.nrrd",
        ".nrrd",
        ".nii.gz",
        ".nii",
        "",
    ]
    assert [image_of(name) for name in ("a.b.nii.gz", ".nii.gz", ".x.nii.gz", "a.info.json")] == [
        "a.b",
        None,
        None,
        None,
    ]


def test_monai_labels_own_store_opens_our_folder(tmp_path: Path) -> None:
    label(tmp_path / IMAGE, 9)
    history = LabelHistory(tmp_path / "labels")
    history.save("case", "final", label(tmp_path / "up" / "a.nii.gz", 1), ANNA)
    history.save("case", "original", label(tmp_path / "up" / "b.nii.gz", 2), ANNA)
    stock = stock_store(tmp_path)
    assert stock.list_images() == ["case"]
    assert stock.get_labels_by_image_id("case") == {"final": "case", "original": "case"}
    assert value_of(Path(stock.get_label_uri("case", "final"))) == 1
    assert [Path(pair["label"]).name for pair in stock.datalist()] == [IMAGE]


def test_we_open_a_folder_that_monai_labels_own_store_wrote(tmp_path: Path) -> None:
    label(tmp_path / IMAGE, 9)
    stock = stock_store(tmp_path)
    stock.save_label("case", str(label(tmp_path / "up" / "a.nii.gz", 1)), "final", {"label_info": [{"idx": 1}]})
    history = LabelHistory(tmp_path / "labels")
    head = history.head("case", "final")
    assert head is not None
    assert head.info == {"label_info": [{"idx": 1}]}
    assert value_of(history.path(head)) == 1
    stock.save_label("case", str(label(tmp_path / "up" / "b.nii.gz", 2)), "final", {"label_info": [{"idx": 2}]})
    assert [value_of(history.path(version)) for version in history.versions("case")] == [1]
    assert history.head("case", "final") != head
    assert [value_of(history.path(version)) for version in history.versions("case")] == [1, 2]
