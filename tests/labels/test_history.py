"""Labels are versions that are added and never changed; what was acknowledged stays."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.labels.made import ANNA, BERT, CARL, label, value_of
from tumorseg.errors import ConflictError, InputError, NotFoundError, StorageError
from tumorseg.labels import records
from tumorseg.labels.history import INDEX_NAME, LabelHistory
from tumorseg.labels.types import Provenance


@pytest.fixture
def history(tmp_path: Path) -> LabelHistory:
    return LabelHistory(tmp_path / "labels")


def test_nothing_is_made_before_something_is_saved(history: LabelHistory) -> None:
    assert history.counts() == {}
    assert history.head("case", "final") is None
    assert history.versions("case") == history.heads("case", "final") == []
    assert not history.root.exists()


def test_a_label_is_overwritten_with_no_history_no_more(history: LabelHistory, tmp_path: Path) -> None:
    first = history.save("case", "final", label(tmp_path / "a.nii.gz", 1), ANNA)
    second = history.save("case", "final", label(tmp_path / "b.nii.gz", 2), ANNA)
    assert [version.uid for version in history.versions("case")] == [first.uid, second.uid]
    assert history.head("case", "final") == second
    assert second.parent == first.uid
    assert (value_of(history.path(first)), value_of(history.path(second))) == (1, 2)
    assert value_of(history.root / "final" / "case.nii.gz") == 2


def test_annotators_stand_side_by_side(history: LabelHistory, tmp_path: Path) -> None:
    of_anna = history.save("case", "final", label(tmp_path / "a.nii.gz", 1), ANNA)
    of_bert = history.save("case", "final", label(tmp_path / "b.nii.gz", 2), BERT)
    assert history.heads("case", "final") == [of_anna, of_bert]
    assert history.head("case", "final", "anna") == of_anna
    assert history.head("case", "final") == of_bert
    assert of_bert.parent is None
    assert history.counts() == {"final": 1}


def test_provenance_is_kept_as_it_was(tmp_path: Path, history: LabelHistory) -> None:
    who = Provenance("anna", "Slicer 5.8", "segmentation", "0a1b", {"foreground": [[1, 2, 3]]}, "req-1")
    history.save("case", "final", label(tmp_path / "a.nii.gz"), who, {"said": [1, {"x": None}]})
    history.close()
    found = LabelHistory(history.root).versions("case")[0]
    assert (found.author, found.tool, found.model, found.model_version) == (
        "anna",
        "Slicer 5.8",
        "segmentation",
        "0a1b",
    )
    assert (found.prompts, found.request_id, found.info) == (who.prompts, "req-1", {"said": [1, {"x": None}]})


def test_a_save_that_is_sent_again_is_the_same_version(history: LabelHistory, tmp_path: Path) -> None:
    file = label(tmp_path / "a.nii.gz")
    first = history.save("case", "final", file, replace(ANNA, request_id="1"), {"a": 1, "b": 2})
    assert history.save("case", "final", file, replace(ANNA, request_id="2"), {"b": 2, "a": 1}) == first
    other = history.save("case", "final", file, BERT, {"a": 1, "b": 2})
    assert other.uid != first.uid
    assert history.save("case", "final", file, ANNA, {"a": 1, "b": 2}) == first
    assert history.save("case", "final", file, ANNA, {"a": 2}).uid != first.uid
    assert len(history.versions("case")) == 3


def test_who_means_it_is_heard_though_they_said_it_before(history: LabelHistory, tmp_path: Path) -> None:
    """Anna's first label, Bert's correction, and Anna who looked at it and still says the same."""
    file = label(tmp_path / "a.nii.gz")
    first = history.save("case", "final", file, ANNA)
    of_bert = history.save("case", "final", label(tmp_path / "b.nii.gz", 2), BERT)
    again = history.save("case", "final", file, ANNA, expected_parent=of_bert.uid)
    assert again.seq > of_bert.seq > first.seq
    assert again.parent == of_bert.uid
    assert history.head("case", "final") == again
    assert history.save("case", "final", file, ANNA, expected_parent=of_bert.uid) == again


def test_a_label_that_is_saved_again_long_after_somebody_elses_is_no_retry(
    history: LabelHistory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = label(tmp_path / "a.nii.gz")
    monkeypatch.setattr(records, "now", lambda: "2001-01-01T00:00:00.000+00:00")
    first = history.save("case", "final", file, ANNA)
    assert history.save("case", "final", file, ANNA) == first
    history.save("case", "final", label(tmp_path / "b.nii.gz", 2), BERT)
    assert history.save("case", "final", file, ANNA).seq == 3


def test_a_stale_editor_is_told_of_the_newer_version(history: LabelHistory, tmp_path: Path) -> None:
    first = history.save("case", "final", label(tmp_path / "a.nii.gz", 1), ANNA)
    file = label(tmp_path / "b.nii.gz", 2)
    second = history.save("case", "final", file, BERT, expected_parent=first.uid)
    assert second.parent == first.uid
    with pytest.raises(ConflictError, match=second.uid):
        history.save("case", "final", label(tmp_path / "c.nii.gz", 3), ANNA, expected_parent=first.uid)
    # The answer to Bert's save was lost and his client sends it again: that is no conflict.
    assert history.save("case", "final", file, BERT, expected_parent=first.uid) == second
    assert history.head("case", "final") == second
    history.remove("case", "final", CARL)
    with pytest.raises(ConflictError, match="removed"):
        history.save("case", "final", file, ANNA, expected_parent=second.uid)


def test_removing_deletes_nothing(history: LabelHistory, tmp_path: Path) -> None:
    kept = history.save("case", "final", label(tmp_path / "a.nii.gz", 7), ANNA)
    removed = history.remove("case", "final", CARL)
    assert (removed.kind, removed.author, removed.parent) == ("removed", "carl", kept.uid)
    assert history.head("case", "final") is None
    assert history.head("case", "final", "anna") is None
    assert (history.tags("case"), history.counts(), history.heads("case", "final")) == ([], {}, [])
    assert list((history.root / "final").iterdir()) == []
    with pytest.raises(NotFoundError):
        history.remove("case", "final", CARL)
    with pytest.raises(NotFoundError):
        history.path(removed)
    with pytest.raises(InputError):
        history.restore(removed.uid, CARL)
    again = history.restore(kept.uid, CARL)
    assert (again.author, again.parent, again.sha256) == ("carl", kept.uid, kept.sha256)
    assert value_of(history.root / "final" / "case.nii.gz") == 7
    assert history.counts() == {"final": 1}


def test_the_same_label_after_a_removal_is_a_new_version(history: LabelHistory, tmp_path: Path) -> None:
    file = label(tmp_path / "a.nii.gz")
    first = history.save("case", "final", file, ANNA)
    history.remove("case", "final", CARL)
    second = history.save("case", "final", file, ANNA)
    assert second.seq > first.seq
    assert history.head("case", "final") == second


def test_saying_more_about_a_label_is_a_new_version_of_it(history: LabelHistory, tmp_path: Path) -> None:
    who = Provenance("anna", model="segmentation", prompts={"x": 1})
    first = history.save("case", "final", label(tmp_path / "a.nii.gz", 0), who, {"a": 1}, no_lesion=True)
    second = history.annotate(first, {"b": 2}, BERT)
    assert second.info == {"a": 1, "b": 2}
    assert (second.kind, second.sha256, second.parent) == ("no_lesion", first.sha256, first.uid)
    assert (second.author, second.model, second.prompts) == ("bert", "segmentation", {"x": 1})
    assert history.version(first.uid).info == {"a": 1}


def test_no_lesion_counts_as_labelled(history: LabelHistory, tmp_path: Path) -> None:
    history.save("case", "final", label(tmp_path / "a.nii.gz", 0), ANNA, no_lesion=True)
    assert history.counts() == {"final": 1}
    assert history.labelled("final") == {"case"}
    assert [version.kind for version in history.all_heads()] == ["no_lesion"]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE versions SET author = 'mallory'",
        "DELETE FROM versions",
        "INSERT OR REPLACE INTO versions SELECT seq, uid, image, tag, 'mallory', created, tool, model, model_version,"
        " prompts, parent, kind, sha256, suffix, size, info, request_id FROM versions",
    ],
)
def test_no_statement_changes_a_version(statement: str, history: LabelHistory, tmp_path: Path) -> None:
    kept = history.save("case", "final", label(tmp_path / "a.nii.gz"), ANNA)
    with (
        closing(sqlite3.connect(history.folder / INDEX_NAME)) as connection,
        pytest.raises(sqlite3.IntegrityError, match="never"),
    ):
        connection.execute(statement)
    assert history.versions("case") == [kept]


def test_order_is_not_the_clocks(history: LabelHistory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock goes back by a year between two saves; the later one is still the newest."""
    history.save("case", "final", label(tmp_path / "a.nii.gz", 1), ANNA)
    monkeypatch.setattr(records, "now", lambda: "2001-01-01T00:00:00.000+00:00")
    later = history.save("case", "final", label(tmp_path / "b.nii.gz", 2), ANNA)
    assert later.created.startswith("2001")
    assert history.head("case", "final") == later
    assert history.head("case", "final", "anna") == later
    assert [value_of(history.path(version)) for version in history.versions("case")] == [1, 2]


@pytest.mark.parametrize("info", [{"x": float("nan")}, {"x": {("a", "b"): 1}}])
def test_what_is_no_json_is_refused_before_anything_is_kept(
    info: dict[str, object], history: LabelHistory, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="JSON"):
        history.save("case", "final", label(tmp_path / "a.nii.gz"), ANNA, info)
    assert not history.root.exists()


def test_names_that_no_file_or_database_can_hold(history: LabelHistory, tmp_path: Path) -> None:
    file = label(tmp_path / "a.nii.gz")
    for image, tag in (("../x", "final"), ("x" * 400, "final"), ("\ud800", "final"), ("x", "../final"), ("x", "")):
        with pytest.raises(InputError):
            history.save(image, tag, file, ANNA)
    with pytest.raises(InputError):
        Provenance("")
    assert Provenance("an\ud800na" * 200).author.startswith("an?na")
    assert len(Provenance("x" * 999).author) < 999


def test_a_label_that_was_changed_on_the_disk_is_not_handed_out(history: LabelHistory, tmp_path: Path) -> None:
    kept = history.save("case", "final", label(tmp_path / "a.nii.gz"), ANNA)
    path = history.path(kept)
    assert path.stat().st_mode & 0o222 == 0
    path.chmod(0o644)
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(StorageError, match="another content"):
        history.path(kept)
    # The same label saved again mends it: the content is known.
    history.save("other", "final", tmp_path / "a.nii.gz", ANNA)
    assert value_of(history.path(kept)) == 1
    history.path(kept).unlink()
    with pytest.raises(StorageError, match="gone"):
        history.path(kept)


def test_two_images_that_say_the_same_share_a_file(history: LabelHistory, tmp_path: Path) -> None:
    file = label(tmp_path / "a.nii.gz")
    for image in ("one", "two"):
        history.save(image, "final", file, ANNA)
    assert len(list(history.objects.files())) == 1


def test_an_empty_index_does_not_hide_a_lost_one(history: LabelHistory, tmp_path: Path) -> None:
    history.save("case", "final", label(tmp_path / "a.nii.gz"), ANNA)
    history.close()
    for path in history.folder.glob("index.sqlite*"):
        path.unlink()
    with pytest.raises(StorageError, match="fsck --repair"):
        LabelHistory(history.root).save("case", "final", label(tmp_path / "b.nii.gz", 2), ANNA)
    assert not (history.folder / INDEX_NAME).exists()


def test_counting_is_cheap_and_never_stale(history: LabelHistory, tmp_path: Path) -> None:
    other = LabelHistory(history.root)
    for number in range(3):
        history.save(f"case{number}", "final", label(tmp_path / "a.nii.gz"), ANNA)
        assert other.counts() == {"final": number + 1}
    assert other.labelled_by_tag()["final"] is other.labelled("final")
