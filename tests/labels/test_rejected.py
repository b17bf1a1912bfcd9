"""Which images are to be labelled again because nothing of them counts."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from tests.labels.made import ANNA, BERT, CARL, label
from tumorseg.access.types import Principal, Role
from tumorseg.adapters.learning.cases import counting
from tumorseg.labels.history import LabelHistory
from tumorseg.labels.rejected import Rejected
from tumorseg.labels.reviews import Reviews
from tumorseg.labels.types import LabelVersion

RITA = Principal("rita", Role.ADMIN, "token")


class Desk:
    """People who save, remove and review."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.history = LabelHistory(root / "labels")
        self.reviews = Reviews(self.history.database)
        self.rejected = Rejected(self.history.database)
        self.files = 0

    def save(self, image: str, who: object = ANNA, tag: str = "final") -> LabelVersion:
        self.files += 1
        file = label(self.root / f"{self.files}.nii.gz", self.files)
        return self.history.save(image, tag, file, who)  # type: ignore[arg-type]

    def say(self, version: LabelVersion, verdict: str) -> None:
        self.reviews.add(version, verdict, RITA, f"{verdict} {self.files} {time.monotonic_ns()}")  # type: ignore[arg-type]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_without_an_index_there_is_none_and_none_is_made(desk: Desk) -> None:
    assert desk.rejected.images("final") == frozenset()
    assert not desk.history.database.path.exists()


def test_an_image_is_to_be_labelled_again_until_something_of_it_counts(desk: Desk) -> None:
    first = desk.save("a")
    desk.save("b")
    assert desk.rejected.images("final") == frozenset()
    desk.say(first, "reject")
    desk.say(first, "comment")
    assert desk.rejected.images("final") == {"a"}
    assert desk.rejected.images("original") == frozenset()
    other = desk.save("a", BERT)
    assert desk.rejected.images("final") == frozenset()
    desk.say(other, "reject")
    assert desk.rejected.images("final") == {"a"}
    desk.say(other, "approve")
    assert desk.rejected.images("final") == frozenset()


def test_what_was_removed_has_no_label_that_could_be_rejected(desk: Desk) -> None:
    desk.say(desk.save("a"), "reject")
    desk.history.remove("a", "final", ANNA)
    assert desk.rejected.images("final") == frozenset()
    desk.save("a")
    assert desk.rejected.images("final") == frozenset()


@pytest.mark.parametrize("seed", range(4))
def test_it_is_what_a_training_leaves_out_as_rejected(desk: Desk, seed: int) -> None:
    """Whatever was saved, removed and said in which order."""
    rng = np.random.default_rng(seed)
    images, seen = [f"i{number}" for number in range(5)], set()
    saved: list[LabelVersion] = []
    for _ in range(60):
        what, image = rng.choice(["save", "reject", "reject", "approve", "remove"]), str(rng.choice(images))
        if what == "save" or not saved:
            saved.append(desk.save(image, rng.choice([ANNA, BERT, CARL])))  # type: ignore[arg-type]
        elif what == "remove":
            if desk.history.head(image, "final") is not None:
                desk.history.remove(image, "final", ANNA)
        else:
            desk.say(saved[int(rng.integers(len(saved)))], str(what))
        expected = {image for image in images if nothing_counts(desk, image)}
        assert desk.rejected.images("final") == expected
        seen |= expected
    assert len(seen) > 1


def nothing_counts(desk: Desk, image: str) -> bool:
    versions = desk.history.versions(image, "final")
    removed = max((version.seq for version in versions if version.kind == "removed"), default=0)
    current = [version for version in versions if version.seq > removed]
    return bool(current) and counting(current, desk.reviews.states(one.uid for one in current)) is None
