"""Whether a candidate may serve, by what was measured of it and of those before it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import tiny
from tests.adapters.learning.own_model import write_own
from tumorseg.adapters.jobs.types import Job
from tumorseg.adapters.learning.lineage import Lineage
from tumorseg.adapters.learning.measure import Measurements
from tumorseg.adapters.learning.publishing import Publishing
from tumorseg.adapters.learning.snapshot import Snapshot
from tumorseg.config import AppConfig
from tumorseg.versions.files import digest_of
from tumorseg.versions.types import SHIPPED, CaseUsed, VersionCard

PATIENTS = ("a", "b", "c")
#: What is added to a version's Dice on each patient: nobody gains or loses the same everywhere.
SPREAD = (-0.004, 0.0, 0.004)


class Line:
    """A model's versions, one round after the other, with figures given beforehand."""

    def __init__(self, root: Path, model: str = "tiny", extra: str = tiny.EXTRA_MODELS) -> None:
        tiny.write_studies(root / "studies", PATIENTS)
        self.model = model
        conf = {"models": model, "extra_models": extra, "device": "cpu", "state": root / "state"}
        self.config = AppConfig.parse(root / "studies", {**conf, "cache": root / "cache"}, environ={})
        self.root, self.rounds = root, 0
        self.snapshot = Snapshot(tuple(CaseUsed(one, one, "validation", one, one * 64) for one in PATIENTS), ())
        self.figures = {digest_of(tiny.SPEC.weights): dict.fromkeys(PATIENTS, 0.5)}
        self.store = self.publishing().store

    def publishing(self) -> Publishing:
        job = Job(f"round{self.rounds}", "train", self.model, {}, "anna", 0.0)
        return Publishing(self.config, job)

    def round(self, *dice: float) -> VersionCard:
        """Challenge what serves with a candidate of this Dice, by patient or of all but for the spread."""
        self.rounds += 1
        values = dice if len(dice) > 1 else tuple(dice[0] + more for more in SPREAD)
        file = tiny.first_weights(self.root / f"{self.rounds}.safetensors", self.rounds)
        self.figures[digest_of(file)] = dict(zip(PATIENTS, values, strict=True))
        folder = self.root / f"round{self.rounds}"
        folder.mkdir()
        (folder / "measured.json").write_text(json.dumps(self.figures))
        measured = Measurements(folder, reader=None, between=never)  # type: ignore[arg-type]
        return self.publishing().challenge(self.snapshot, file, measured, say=lambda _: None)


def never() -> None:
    raise AssertionError("everything is measured already")


@pytest.fixture
def line(tmp_path: Path) -> Line:
    return Line(tmp_path)


def test_a_little_less_each_round_does_not_add_up(line: Line) -> None:
    good = line.round(0.80)
    assert good.measured["low"] > 0
    second = line.round(0.79, 0.802, 0.797)
    assert second.status == "published", second.why
    third = line.round(0.775, 0.785, 0.783)
    assert third.status == "refused"
    assert f"against {good.id}, the last version that was better beyond doubt" in third.why
    assert third.measured["anchor"]["version"] == good.id
    assert third.measured["low"] > -line.config.train_margin, "against what serves alone it would have passed"
    assert line.store.serving("tiny") == second.id


def test_what_holds_against_the_last_sure_gain_serves(line: Line) -> None:
    good = line.round(0.80)
    line.round(0.79, 0.802, 0.797)
    third = line.round(0.79, 0.801, 0.798)
    assert third.status == "published", third.why
    assert third.measured["anchor"]["version"] == good.id
    better = line.round(0.85)
    assert better.status == "published"
    assert Lineage(line.store, "tiny").anchor() == better.id


def test_the_shipped_weights_are_held_against_too(line: Line) -> None:
    first = line.round(0.49, 0.502, 0.497)
    assert first.status == "published", first.why
    assert "anchor" not in first.measured, "it was compared with them itself"
    second = line.round(0.478, 0.49, 0.49)
    assert second.status == "refused"
    assert SHIPPED in second.why


def test_what_a_person_sent_stands_by_itself(line: Line) -> None:
    line.round(0.80)
    file = tiny.first_weights(line.root / "sent.safetensors", 99)
    sha256 = digest_of(file)
    line.figures[sha256] = dict.fromkeys(PATIENTS, 0.6)
    serving = line.store.serving("tiny")
    card = VersionCard(line.store.new_id("tiny", sha256), "tiny", sha256, "", "rita", "uploaded", serving, "published")
    sent = line.store.publish(card, file)
    following = line.round(0.6)
    assert following.status == "published", following.why
    assert "anchor" not in following.measured
    assert Lineage(line.store, "tiny").anchor() == sent.id


def test_weights_that_were_removed_to_make_room_hold_nobody_up(line: Line) -> None:
    good = line.round(0.80)
    line.round(0.79, 0.802, 0.797)
    line.store.weights("tiny", good.id).unlink()
    third = line.round(0.775, 0.785, 0.783)
    assert third.status == "published", third.why
    assert "anchor" not in third.measured


def test_a_sites_own_model_is_not_replaced_unmeasured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its weights lie where only its factory knows; ours of the same name are nothing to compare with."""
    weights = tiny.first_weights(tmp_path / "elsewhere" / "ours.safetensors", 98)
    line = Line(tmp_path, "own", write_own(tmp_path, monkeypatch, weights))
    line.figures[digest_of(weights)] = dict.fromkeys(PATIENTS, 0.8)
    assert line.publishing().start() == weights, "a training goes on from them"
    worse = line.round(0.05)
    assert worse.status == "refused", worse.why
    assert worse.measured["champion"]["mean"] == pytest.approx(0.8)
    better = line.round(0.9)
    assert (better.status, better.parent) == ("published", SHIPPED)
    line.store.rollback("own", SHIPPED, "rita")
    assert line.round(0.05).status == "refused"


def test_a_model_that_does_not_say_which_its_weights_are_is_compared_with_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tiny.first_weights(tmp_path / "elsewhere" / "ours.safetensors", 98)
    line = Line(tmp_path, "own", write_own(tmp_path, monkeypatch, weights, silent=True))
    line.figures[f"version {digest_of(weights)[:12]}"] = dict.fromkeys(PATIENTS, 0.8)
    assert line.publishing().start() is None
    assert line.round(0.05).status == "refused"
