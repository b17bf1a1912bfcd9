"""Every kind of damage is found, and what can be put right is."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.labels.made import ANNA, BERT, label, value_of
from tumorseg.errors import InputError
from tumorseg.labels.examination import KINDS
from tumorseg.labels.fsck import examine
from tumorseg.labels.history import LabelHistory
from tumorseg.labels.types import LabelVersion


@pytest.fixture
def history(tmp_path: Path) -> LabelHistory:
    history = LabelHistory(tmp_path / "labels")
    for number in range(3):
        history.save("case", "final", label(tmp_path / "a.nii.gz", number + 1), ANNA, {"number": number})
    history.save("other", "final", label(tmp_path / "b.nii.gz", 9), BERT)
    history.save("gone", "final", label(tmp_path / "c.nii.gz", 8), BERT)
    history.remove("gone", "final", ANNA)
    return history


def everything(history: LabelHistory) -> list[LabelVersion]:
    return [version for image in ("case", "other", "gone") for version in history.versions(image)]


def kinds(root: Path, **options: object) -> set[str]:
    return {problem.kind for problem in examine(root, **options).problems}  # type: ignore[arg-type]


def drop_index(history: LabelHistory) -> None:
    history.close()
    for path in history.folder.glob("index.sqlite*"):
        path.unlink()


def damage_index(history: LabelHistory) -> None:
    history.close()
    path = history.database.path
    data = bytearray(path.read_bytes())
    data[4096 + 100 : 2 * 4096] = b"\xff" * (4096 - 100)
    path.write_bytes(bytes(data))


def no_index(history: LabelHistory) -> None:
    history.close()
    history.database.path.write_bytes(b"this is no database" * 500)


def file_of(history: LabelHistory, number: int) -> Path:
    path = history.path(everything(history)[number])
    path.chmod(0o644)
    return path


def without_row(history: LabelHistory) -> None:
    with history.database.transaction() as connection:
        connection.execute("DROP TRIGGER versions_stay")
        connection.execute("DELETE FROM versions WHERE seq = 2")


def change_beside(history: LabelHistory) -> None:
    path = next(history.version_files.files())
    path.write_text(json.dumps({**json.loads(path.read_text()), "author": "mallory"}))


def wrong_heads(history: LabelHistory) -> None:
    with history.database.transaction() as connection:
        connection.execute("UPDATE heads SET seq = 1 WHERE image = 'case'")


DAMAGE: dict[str, Callable[[LabelHistory], object]] = {
    "index_lost": drop_index,
    "index_damaged": no_index,
    "object_lost": lambda history: file_of(history, 2).unlink(),
    "object_damaged": lambda history: file_of(history, 2).write_bytes(b"x"),
    "row_lost": without_row,
    "row_differs": change_beside,
    "beside_lost": lambda history: next(history.version_files.files()).unlink(),
    "beside_damaged": lambda history: next(history.version_files.files()).write_text("{"),
    "heads_wrong": wrong_heads,
    "copy_new": lambda history: label(history.root / "final" / "new.nii.gz", 5),
    "copy_differs": lambda history: (history.root / "final" / "case.nii.gz").unlink(),
    "orphan": lambda history: history.objects.put(label(history.root.parent / "d.nii.gz", 77), ".nii.gz"),
    "draft": lambda history: (history.root / "final" / ".0123456789abcdef.tmp").write_bytes(b"half"),
}


def test_every_kind_has_a_test() -> None:
    assert DAMAGE.keys() == KINDS.keys()


def test_sound_labels_have_no_problems(history: LabelHistory) -> None:
    report = examine(history.root, orphan_age_s=-1)
    assert report.problems == ()
    assert report.versions == 6


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_found_and_put_right(kind: str, history: LabelHistory) -> None:
    before = everything(history)
    DAMAGE[kind](history)
    if kind in ("orphan", "draft"):
        assert kinds(history.root) == set()  # a young one may belong to a save that is under way
    assert kind in kinds(history.root, orphan_age_s=-1)
    assert kind in kinds(history.root, orphan_age_s=-1)  # looking changes nothing
    repaired = examine(history.root, repair=True, orphan_age_s=-1)
    assert kind in {problem.kind for problem in repaired.problems}
    assert repaired.unsolved == ()
    assert kinds(history.root, orphan_age_s=-1) == set()
    after = everything(LabelHistory(history.root))
    assert after == before
    for version in after:
        if version.kind != "removed":
            history.objects.path(version)
    assert value_of(history.root / "final" / "case.nii.gz") == 3


def test_the_file_of_an_old_version_cannot_be_made_again(history: LabelHistory) -> None:
    file_of(history, 0).unlink()
    report = examine(history.root, repair=True)
    assert [(problem.kind, problem.done) for problem in report.unsolved] == [("object_lost", "")]


def test_a_page_of_the_index_that_is_damaged_takes_nothing_along(history: LabelHistory) -> None:
    before = everything(history)
    history.database.ensure("reviews", "CREATE TABLE IF NOT EXISTS reviews (version TEXT, verdict TEXT);")
    with history.database.transaction() as connection:
        connection.execute("INSERT INTO reviews VALUES (?, 'approved')", (before[0].uid,))
    damage_index(history)
    assert "index_damaged" in kinds(history.root)
    assert examine(history.root, repair=True).unsolved == ()
    assert everything(LabelHistory(history.root)) == before
    assert any(path.name.endswith("index.sqlite") for path in (history.folder / "set-aside").iterdir())


def test_tables_of_reviews_come_along_where_they_can_be_read(history: LabelHistory) -> None:
    history.database.ensure("reviews", "CREATE TABLE IF NOT EXISTS reviews (version TEXT, verdict TEXT);")
    with history.database.transaction() as connection:
        connection.execute("INSERT INTO reviews VALUES ('x', 'approved')")
        # Another version took the place of one that is kept beside: all are ordered anew.
        connection.execute("DROP TRIGGER versions_stay")
        connection.execute("DROP TRIGGER versions_stay_as_they_are")
        connection.execute("UPDATE versions SET uid = 'other' WHERE seq = 2")
    examine(history.root, repair=True)
    assert [row["verdict"] for row in history.database.rows("SELECT * FROM reviews")] == ["approved"]
    assert len(everything(history)) == 7
    assert kinds(history.root) == set()


def test_a_running_server_goes_on_with_an_index_that_was_made_again(history: LabelHistory, tmp_path: Path) -> None:
    before = everything(history)
    for ending in ("", "-wal", "-shm"):
        os.replace(history.folder / f"index.sqlite{ending}", tmp_path / f"away{ending}")
    assert kinds(history.root) == {"index_lost"}
    assert examine(history.root, repair=True).unsolved == ()
    assert everything(history) == before
    later = history.save("case", "final", label(tmp_path / "d.nii.gz", 4), ANNA)
    assert later.seq == 7


def test_a_file_that_is_no_label_is_moved_and_not_deleted(history: LabelHistory) -> None:
    (history.root / "final" / "strange.nii.gz").write_bytes(b"strange")
    report = examine(history.root, repair=True)
    assert [problem.done for problem in report.problems] == ["moved to set-aside: it is no label"]
    assert b"strange" in [path.read_bytes() for path in (history.folder / "set-aside").iterdir()]


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a folder of labels"):
        examine(tmp_path / "missing")


def test_a_plain_store_is_taken_over(tmp_path: Path) -> None:
    label(tmp_path / "labels" / "final" / "case.nii.gz", 3)
    assert kinds(tmp_path / "labels") == {"copy_new"}
    assert not (tmp_path / "labels" / ".tumorseg").exists()
    assert [problem.done for problem in examine(tmp_path / "labels", repair=True).problems] == [
        "taken over as a new version"
    ]
    assert LabelHistory(tmp_path / "labels").counts() == {"final": 1}
