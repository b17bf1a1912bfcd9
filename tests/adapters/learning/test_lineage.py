"""Which version before a candidate must hold against: small losses and small gains in turn must not add up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests import tiny
from tumorseg.adapters.learning.lineage import Lineage
from tumorseg.versions.files import digest_of
from tumorseg.versions.store import VersionStore
from tumorseg.versions.types import SHIPPED, CaseUsed, VersionCard

SURE, UNSURE = {"better": True}, {"better": False}


class Versions:
    """Versions of one model, one after the other."""

    def __init__(self, root: Path) -> None:
        self.root, self.store, self.count = root, VersionStore(root / "weights"), 0

    def publish(self, how: Any = "trained", image: str = "a", **measured: Any) -> str:
        self.count += 1
        file = tiny.first_weights(self.root / f"{self.count}.safetensors", self.count)
        sha256, parent = digest_of(file), self.store.serving("tiny")
        card = VersionCard(
            self.store.new_id("tiny", sha256), "tiny", sha256, "", "anna", how, parent, "published", (), measured
        )
        used = CaseUsed(image, image, "train", image, image * 64)
        return self.store.publish(VersionCard(**{**vars(card), "cases": (used,)}), file).id

    def anchor(self) -> str:
        return Lineage(self.store, "tiny").anchor()


@pytest.fixture
def versions(tmp_path: Path) -> Versions:
    return Versions(tmp_path)


def test_the_last_sure_gain_is_the_anchor(versions: Versions) -> None:
    assert versions.anchor() == SHIPPED
    sure = versions.publish(**SURE)
    versions.publish(**UNSURE)
    versions.publish()  # a card that says nothing of it
    assert versions.anchor() == sure


def test_a_sure_gain_over_a_parent_that_had_lost_is_no_anchor(versions: Versions) -> None:
    good = versions.publish(**SURE)
    versions.publish(**UNSURE)
    versions.publish(**SURE, anchor={"version": good, **UNSURE})
    assert versions.anchor() == good
    best = versions.publish(**SURE, anchor={"version": good, **SURE})
    assert versions.anchor() == best


def test_what_a_person_sent_is_an_anchor(versions: Versions) -> None:
    versions.publish(**SURE)
    sent = versions.publish("uploaded")
    assert versions.anchor() == sent


def test_the_line_is_what_serves_and_what_it_came_from(versions: Versions) -> None:
    first = versions.publish(image="a", left_out=[{"label": "b"}])
    versions.publish(image="c")
    line = Lineage(versions.store, "tiny")
    assert line.learned() == ({("a", "a" * 64), ("c", "c" * 64)}, {"b"})
    versions.store.rollback("tiny", first, "rita")
    assert [card.id for card in line.cards()] == [first]
    assert line.learned() == ({("a", "a" * 64)}, {"b"})
