"""Scores are kept for all processes of a site; a row of another version or of a changed image never counts."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tumorseg.active_learning.store import ScoreStore
from tumorseg.active_learning.types import EMBEDDING, ENTROPY, MARGIN
from tumorseg.errors import StorageError

VECTOR = np.array([0.5, -1.25, 3.0], np.float32)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "learning" / "scores.sqlite"


@pytest.fixture
def store(path: Path) -> ScoreStore:
    return ScoreStore(path)


def test_nothing_is_known_of_a_place_where_nothing_was_kept(store: ScoreStore, path: Path) -> None:
    assert store.known("m", "1") == {}
    assert store.stamp("m") == ""
    assert store.missing("m", "1", {"a": "x"}, {ENTROPY}) == ["a"]
    assert not path.exists()  # looking makes no file


def test_what_was_put_comes_back_in_another_process_of_the_site(store: ScoreStore, path: Path) -> None:
    store.put("m", "1", "a", "x", {ENTROPY: 0.25}, VECTOR)
    row = ScoreStore(path).known("m", "1")["a"]
    assert (row.fingerprint, dict(row.columns)) == ("x", {ENTROPY: 0.25})
    assert row.embedding is not None
    assert np.array_equal(row.embedding, VECTOR)


def test_others_on_the_machine_cannot_look_into_its_folder(store: ScoreStore, path: Path) -> None:
    """Ids of images are often names of patients."""
    store.put("m", "1", "a", "x", {ENTROPY: 0.25}, None)
    assert path.parent.stat().st_mode & 0o077 == 0


def test_a_new_version_of_the_model_knows_nothing_of_what_the_old_one_said(store: ScoreStore) -> None:
    store.put("m", "1", "a", "x", {ENTROPY: 0.25}, None)
    assert store.known("m", "2") == {}
    assert store.missing("m", "2", {"a": "x"}, {ENTROPY}) == ["a"]
    store.put("m", "2", "a", "x", {ENTROPY: 0.5}, None)
    assert store.known("m", "1") == {}  # replaced: one row for each model and image
    assert store.known("m", "2")["a"].columns[ENTROPY] == 0.5


def test_an_image_that_changed_is_missing_and_keeps_nothing_of_before(store: ScoreStore) -> None:
    store.put("m", "1", "a", "before", {ENTROPY: 0.25}, VECTOR)
    assert store.missing("m", "1", {"a": "after"}, {ENTROPY}) == ["a"]
    assert store.progress("m", "1", {"a": "after"}) == (0, 1)
    store.put("m", "1", "a", "after", {MARGIN: 0.75}, None)
    row = store.known("m", "1")["a"]
    assert (dict(row.columns), row.embedding) == ({MARGIN: 0.75}, None)


def test_further_columns_of_the_same_look_are_added(store: ScoreStore) -> None:
    store.put("m", "1", "a", "x", {ENTROPY: 0.25}, VECTOR)
    store.put("m", "1", "a", "x", {MARGIN: 0.75}, None)
    row = store.known("m", "1")["a"]
    assert dict(row.columns) == {ENTROPY: 0.25, MARGIN: 0.75}
    assert row.embedding is not None
    assert store.missing("m", "1", {"a": "x"}, {ENTROPY, MARGIN, EMBEDDING}) == []


def test_what_is_missing_is_said_by_column_and_in_order(store: ScoreStore) -> None:
    images = {"c": "x", "a": "x", "b": "x"}
    store.put("m", "1", "a", "x", {ENTROPY: 0.25}, None)
    assert store.missing("m", "1", images, {ENTROPY}) == ["c", "b"]
    assert store.missing("m", "1", images, {ENTROPY, EMBEDDING}) == ["c", "a", "b"]
    assert store.progress("m", "1", images, {ENTROPY}) == (1, 3)
    assert store.missing("other", "1", images, {ENTROPY}) == ["c", "a", "b"]


def test_a_score_that_does_not_exist_was_asked_for_all_the_same(store: ScoreStore) -> None:
    store.put("m", "1", "a", "x", {ENTROPY: np.nan}, None)
    assert np.isnan(store.known("m", "1")["a"].columns[ENTROPY])
    assert store.missing("m", "1", {"a": "x"}, {ENTROPY}) == []


def test_the_stamp_differs_after_every_write_about_the_model_and_no_other(store: ScoreStore, path: Path) -> None:
    stamps = [store.stamp("m")]
    for _ in range(3):
        ScoreStore(path).put("m", "1", "a", "x", {ENTROPY: 0.25}, None)
        stamps.append(store.stamp("m"))
    ScoreStore(path).put("other", "1", "a", "x", {ENTROPY: 0.25}, None)
    assert len(set(stamps)) == 4
    assert store.stamp("m") == stamps[-1]


@pytest.mark.parametrize("harm", ["lost", "damaged"])
def test_a_file_that_is_lost_or_damaged_is_made_anew_and_the_log_says_so(
    store: ScoreStore, path: Path, harm: str, caplog: pytest.LogCaptureFixture
) -> None:
    store.put("m", "1", "a", "x", {ENTROPY: 0.25}, None)
    store.close()  # folds the log into the file
    if harm == "lost":
        path.unlink()
    else:
        path.write_bytes(b"this was a data base " * 1000)
    with caplog.at_level(logging.WARNING):
        assert store.known("m", "1") == {}
        store.put("m", "1", "b", "x", {ENTROPY: 0.5}, None)
    assert set(ScoreStore(path).known("m", "1")) == {"b"}
    assert "made anew" in caplog.text


def test_a_place_that_cannot_be_written_is_an_error_in_its_own_words(tmp_path: Path) -> None:
    (tmp_path / "learning").write_text("a file where the folder should be")
    with pytest.raises(StorageError, match="learning"):
        ScoreStore(tmp_path / "learning" / "scores.sqlite").put("m", "1", "a", "x", {ENTROPY: 0.25}, None)


_WRITE = """
import sys
from pathlib import Path
from tumorseg.active_learning.store import ScoreStore
store = ScoreStore(Path(sys.argv[1]))
for number in range(40):
    store.put("m", "1", f"{sys.argv[2]}{number}", "x", {"entropy": number / 40}, None)
"""


def test_two_processes_write_at_once_and_lose_nothing(store: ScoreStore, path: Path) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", _WRITE, str(path), name]) for name in "ab"]
    assert [writer.wait(120) for writer in writers] == [0, 0]
    known = store.known("m", "1")
    assert set(known) == {f"{name}{number}" for name in "ab" for number in range(40)}
    assert known["b39"].columns[ENTROPY] == 39 / 40
