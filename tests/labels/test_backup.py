"""A backup made while labels are saved is complete as of one moment, and brings back what was lost."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest

from tests.labels.made import ANNA, BERT, label, value_of
from tumorseg.errors import InputError
from tumorseg.labels.backup import back_up, bring_back
from tumorseg.labels.fsck import examine
from tumorseg.labels.history import LabelHistory


@pytest.fixture
def history(tmp_path: Path) -> LabelHistory:
    history = LabelHistory(tmp_path / "labels")
    for number in range(4):
        history.save(f"case{number % 2}", "final", label(tmp_path / "a.nii.gz", number + 1), ANNA)
    return history


def test_only_what_is_new_is_copied(history: LabelHistory, tmp_path: Path) -> None:
    first = back_up(history.root, tmp_path / "backup")
    assert (first.versions, first.copied, first.damaged) == (4, 4, ())
    history.save("case2", "final", label(tmp_path / "b.nii.gz", 7), BERT)
    history.remove("case0", "final", BERT)
    second = back_up(history.root, tmp_path / "backup")
    assert (second.versions, second.copied) == (6, 1)
    assert examine(tmp_path / "backup", orphan_age_s=-1).problems == ()


def test_a_backup_while_labels_are_saved_is_complete(history: LabelHistory, tmp_path: Path) -> None:
    stop, saved = threading.Event(), []

    def save() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            file = label(tmp_path / "files" / f"{number}.nii.gz", number)
            saved.append(history.save(f"new{number}", "final", file, BERT))

    thread = threading.Thread(target=save)
    thread.start()
    try:
        for _ in range(5):
            known = len(saved)
            made = back_up(history.root, tmp_path / "backup")
            assert made.versions >= 4 + known
            assert examine(tmp_path / "backup", orphan_age_s=-1).problems == ()
    finally:
        stop.set()
        thread.join()
    assert examine(history.root).problems == ()


def test_everything_comes_back_after_the_folder_was_lost(history: LabelHistory, tmp_path: Path) -> None:
    history.database.ensure("reviews", "CREATE TABLE IF NOT EXISTS reviews (x TEXT);")
    with history.database.transaction() as connection:
        connection.execute("INSERT INTO reviews VALUES ('approved')")
    before = [*history.versions("case0"), *history.versions("case1")]
    back_up(history.root, tmp_path / "backup")
    shutil.rmtree(history.root)
    report = bring_back(history.root, tmp_path / "backup")
    assert report.unsolved == ()
    # The server that ran all the time sees it again, reviews too.
    assert [*history.versions("case0"), *history.versions("case1")] == before
    assert [row["x"] for row in history.database.rows("SELECT x FROM reviews")] == ["approved"]
    assert value_of(history.root / "final" / "case1.nii.gz") == 4
    assert examine(history.root).problems == ()


def test_a_copy_of_the_backup_is_a_store(history: LabelHistory, tmp_path: Path) -> None:
    before = history.versions("case1")
    back_up(history.root, tmp_path / "backup")
    shutil.copytree(tmp_path / "backup", tmp_path / "new")
    assert examine(tmp_path / "new", repair=True).unsolved == ()
    assert LabelHistory(tmp_path / "new").versions("case1") == before
    assert value_of(tmp_path / "new" / "final" / "case1.nii.gz") == 4


def test_restoring_takes_nothing_away_that_came_later(history: LabelHistory, tmp_path: Path) -> None:
    back_up(history.root, tmp_path / "backup")
    later = history.save("case0", "final", label(tmp_path / "b.nii.gz", 9), BERT)
    lost = history.path(history.versions("case1")[0])
    lost.unlink()
    history.close()
    os.truncate(history.database.path, 5000)
    report = bring_back(history.root, tmp_path / "backup")
    assert report.unsolved == ()
    assert LabelHistory(history.root).head("case0", "final") == later
    assert lost.exists()
    assert examine(history.root).problems == ()


def test_the_backup_of_other_labels_is_not_overwritten(history: LabelHistory, tmp_path: Path) -> None:
    back_up(history.root, tmp_path / "backup")
    other = LabelHistory(tmp_path / "other")
    other.save("case", "final", label(tmp_path / "b.nii.gz"), ANNA)
    with pytest.raises(InputError, match="other labels"):
        back_up(other.root, tmp_path / "backup")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("x")
    for place, message in (
        (tmp_path / "full", "not empty"),
        (tmp_path / "full" / "file", "is a file"),
        (history.root / "backup", "outside"),
        (history.root.parent, "outside"),
    ):
        with pytest.raises(InputError, match=message):
            back_up(history.root, place)
    with pytest.raises(InputError, match="no history"):
        back_up(tmp_path / "full", tmp_path / "backup2")
    with pytest.raises(InputError, match="expected a backup"):
        bring_back(history.root, tmp_path / "full")


def test_a_damaged_label_does_not_take_the_place_of_a_sound_one(history: LabelHistory, tmp_path: Path) -> None:
    back_up(history.root, tmp_path / "backup")
    version = history.versions("case0")[0]
    path = history.path(version)
    path.chmod(0o644)
    path.write_bytes(b"damaged")
    assert back_up(history.root, tmp_path / "backup").damaged == ()
    assert examine(tmp_path / "backup").problems == ()
    assert back_up(history.root, tmp_path / "second").damaged == (version.uid,)
    bring_back(history.root, tmp_path / "backup")
    assert value_of(history.path(version)) == 1
