"""Reviews are added and never changed; the last verdict counts, and nobody approves their own work."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tumorseg.access.errors import ForbiddenError
from tumorseg.access.types import LOCAL, Principal, Role
from tumorseg.errors import InputError
from tumorseg.geometry import Grid
from tumorseg.io.write import write_segmentation
from tumorseg.labels.fsck import examine
from tumorseg.labels.history import LabelHistory
from tumorseg.labels.reviews import Reviews
from tumorseg.labels.types import LabelVersion, Provenance
from tumorseg.types import Segmentation

ANN = Principal("ann", Role.REVIEWER, "token")
BOB = Principal("bob", Role.REVIEWER, "token")


@pytest.fixture
def history(tmp_path: Path) -> Iterator[LabelHistory]:
    history = LabelHistory(tmp_path / "labels")
    yield history
    history.close()


def saved(history: LabelHistory, folder: Path, author: str = "ann", value: int = 1) -> LabelVersion:
    voxels = np.full((2, 3, 4), value, np.uint8)
    file = write_segmentation(folder / "a.nii.gz", Segmentation(voxels, Grid(voxels.shape, np.eye(4)), {}))
    return history.save("case", "final", file, Provenance(author))


def test_the_last_verdict_counts_and_everything_stays(history: LabelHistory, tmp_path: Path) -> None:
    reviews, version = Reviews(history.database), saved(history, tmp_path)
    assert reviews.state(version.uid) == "open"
    reviews.add(version, "reject", BOB, "the back is missing")
    assert reviews.state(version.uid) == "rejected"
    reviews.add(version, "comment", ANN, "it is not: see slice 3")
    assert reviews.state(version.uid) == "rejected"
    reviews.add(version, "approve", BOB)
    assert reviews.state(version.uid) == "approved"
    said = [(review.verdict, review.reviewer, review.comment) for review in reviews.of(version.uid)]
    assert said == [
        ("reject", "bob", "the back is missing"),
        ("comment", "ann", "it is not: see slice 3"),
        ("approve", "bob", ""),
    ]


def test_a_corrected_label_is_open_again(history: LabelHistory, tmp_path: Path) -> None:
    reviews, first = Reviews(history.database), saved(history, tmp_path)
    reviews.add(first, "approve", BOB)
    second = saved(history, tmp_path, value=2)
    assert reviews.states([first.uid, second.uid]) == {first.uid: "approved", second.uid: "open"}


def test_nobody_approves_their_own_label_but_an_admin(history: LabelHistory, tmp_path: Path) -> None:
    reviews, version = Reviews(history.database), saved(history, tmp_path)
    with pytest.raises(ForbiddenError, match="somebody else"):
        reviews.add(version, "approve", ANN)
    assert reviews.state(version.uid) == "open"
    reviews.add(version, "reject", ANN, "I can do better")
    reviews.add(saved(history, tmp_path, author="local", value=2), "approve", LOCAL)


def test_the_same_sent_again_is_kept_once(history: LabelHistory, tmp_path: Path) -> None:
    reviews, version = Reviews(history.database), saved(history, tmp_path)
    assert reviews.add(version, "approve", BOB) == reviews.add(version, "approve", BOB)
    assert len(reviews.of(version.uid)) == 1


def test_what_makes_no_sense_is_refused(history: LabelHistory, tmp_path: Path) -> None:
    reviews, version = Reviews(history.database), saved(history, tmp_path)
    with pytest.raises(InputError, match="approve, reject or comment"):
        reviews.add(version, "perhaps", BOB)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="says why"):
        reviews.add(version, "reject", BOB, "  ")
    with pytest.raises(InputError, match="at most"):
        reviews.add(version, "comment", BOB, "x" * 5000)
    with pytest.raises(InputError, match="removed"):
        reviews.add(history.remove("case", "final", Provenance("ann")), "approve", BOB)
    assert reviews.of(version.uid) == []


def test_half_a_surrogate_pair_does_not_break_the_index(history: LabelHistory, tmp_path: Path) -> None:
    reviews, version = Reviews(history.database), saved(history, tmp_path)
    reviews.add(version, "comment", BOB, "bad \ud83d text")
    assert reviews.of(version.uid)[0].comment == "bad ? text"


def test_rows_cannot_be_changed_or_deleted(history: LabelHistory, tmp_path: Path) -> None:
    reviews, version = Reviews(history.database), saved(history, tmp_path)
    reviews.add(version, "reject", BOB, "no")
    for sql in ("UPDATE reviews SET verdict = 'approve'", "DELETE FROM reviews"):
        with pytest.raises(sqlite3.IntegrityError, match="never"), history.database.transaction() as connection:
            connection.execute(sql)
    assert reviews.state(version.uid) == "rejected"


def test_reviews_outlive_a_lost_index(history: LabelHistory, tmp_path: Path) -> None:
    reviews, version = Reviews(history.database), saved(history, tmp_path)
    reviews.add(version, "reject", BOB, "no")
    reviews.add(version, "approve", BOB)
    said = reviews.of(version.uid)
    history.close()
    for path in history.folder.glob("index.sqlite*"):
        path.unlink()
    (history.folder / "reviews" / "000000009.json").write_text("damaged")
    assert examine(history.root, repair=True).unsolved == ()
    anew = Reviews(LabelHistory(history.root).database)
    assert anew.of(version.uid) == said
    assert anew.state(version.uid) == "approved"
    assert anew.recover() == 0


def test_many_versions_at_once(history: LabelHistory, tmp_path: Path) -> None:
    reviews, version = Reviews(history.database), saved(history, tmp_path)
    reviews.add(version, "approve", BOB)
    states = reviews.states([*(f"unknown-{n}" for n in range(1200)), version.uid])
    assert len(states) == 1201
    assert states.pop(version.uid) == "approved"
    assert set(states.values()) == {"open"}


def test_a_read_only_copy_of_older_labels_has_no_reviews(history: LabelHistory, tmp_path: Path) -> None:
    """The index of a backup was made before reviews were, and its disk takes no new table."""
    version = saved(history, tmp_path)
    history.close()
    folder = history.folder
    try:
        folder.chmod(0o555)
        (folder / "index.sqlite").chmod(0o444)
        reviews = Reviews(history.database)
        if os.access(folder, os.W_OK):
            pytest.skip("this user may write anywhere")
        assert reviews.state(version.uid) == "open"
    finally:
        folder.chmod(0o755)
