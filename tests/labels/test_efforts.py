"""Rows about the work on labels: kept once, read back as they were, in a database that others use too."""

from __future__ import annotations

from pathlib import Path

from tumorseg.labels.database import Database
from tumorseg.labels.effort import Edit
from tumorseg.labels.efforts import Effort, Efforts

EDIT = Edit(dice=0.9, changed=10, added=4, removed=6, final=50, path=3, ml=0.01)


def test_what_was_kept_is_read_back_the_oldest_first(tmp_path: Path) -> None:
    efforts = Efforts(Database(tmp_path / "index.sqlite"))
    late = Effort("b", "one", "ann", 20.0, 61.5, "answer", "tiny", "v1", EDIT)
    bare = Effort("a", "two", "bob", 10.0)
    assert [efforts.add(late), efforts.add(bare)] == [True, True]
    assert Efforts(Database(tmp_path / "index.sqlite")).list() == [bare, late]


def test_the_same_version_again_says_nothing_new(tmp_path: Path) -> None:
    efforts = Efforts(Database(tmp_path / "index.sqlite"))
    first = Effort("a", "one", "ann", 10.0, 60.0)
    efforts.add(first)
    assert not efforts.add(Effort("a", "one", "ann", 99.0, 1.0))
    assert efforts.list() == [first]


def test_when_the_versions_of_an_image_were_saved(tmp_path: Path) -> None:
    efforts = Efforts(Database(tmp_path / "index.sqlite"))
    for uid, image, saved in (("a", "one", 10.0), ("b", "two", 20.0), ("c", "one", 30.0)):
        efforts.add(Effort(uid, image, "ann", saved))
    assert efforts.saved("one") == {"a": 10.0, "c": 30.0}


def test_looking_makes_no_database(tmp_path: Path) -> None:
    assert Efforts(Database(tmp_path / "labels" / "index.sqlite")).list() == []
    assert not (tmp_path / "labels").exists()
