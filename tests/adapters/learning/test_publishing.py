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

    def publishing(self, number: int | None = None) -> Publishing:
        job = Job(f"round{number or self.rounds}", "train", self.model, {}, "anna", 0.0)
        return Publishing(self.config, job)

    def round(self, *dice: float, **by_image: float) -> VersionCard:
        """Challenge what serves with a candidate of this Dice, by image, by patient or of all but for the spread."""
        self.rounds += 1
        values = dice if len(dice) > 1 else tuple(dice[0] + more for more in SPREAD) if dice else ()
        file = tiny.first_weights(self.root / f"{self.rounds}.safetensors", self.rounds)
        self.figures[digest_of(file)] = by_image or dict(zip(PATIENTS, values, strict=True))
        return self.challenge(self.rounds)

    def challenge(self, number: int) -> VersionCard:
        """Let the job of a round compare and publish, perhaps once more."""
        folder = self.root / f"round{number}"
        folder.mkdir(exist_ok=True)
        (folder / "measured.json").write_text(json.dumps(self.figures))
        measured = Measurements(folder, reader=None, between=never)  # type: ignore[arg-type]
        candidate = self.root / f"{number}.safetensors"
        return self.publishing(number).challenge(self.snapshot, candidate, measured, say=lambda _: None)


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


def test_a_small_gain_after_a_small_loss_is_no_new_measure(line: Line) -> None:
    """Each of these is surely better than the one before, or surely not worse by more than the margin."""
    first = line.round(0.80)
    cards = [line.round(dice) for dice in (0.785, 0.788)]
    assert [card.status for card in cards] == ["published", "published"]
    assert cards[1].measured["low"] > 0
    assert not cards[1].measured["anchor"]["better"]
    fourth = line.round(0.773)
    assert fourth.status == "refused", fourth.why
    assert fourth.measured["anchor"]["version"] == first.id


def test_one_validation_patient_proves_no_gain(line: Line) -> None:
    line.snapshot = Snapshot(line.snapshot.cases[:1], ())
    for dice in (0.60, 0.61):
        assert line.round(dice).status == "published"
    assert Lineage(line.store, "tiny").anchor() == SHIPPED
    assert line.round(0.605).status == "refused"


def test_a_blank_answer_does_not_win_on_the_other_images_of_the_same_patients(line: Line) -> None:
    """Every patient has one image with a lesion and four without, on which finding nothing is perfect."""
    images = {patient: [f"{patient}{number}" for number in range(1, 6)] for patient in PATIENTS}
    cases = tuple(CaseUsed(one, who, "validation", one, "0" * 64) for who in images for one in images[who])
    empty = tuple(one for who in images for one in images[who][1:])
    line.snapshot = Snapshot(cases, (), empty)
    line.figures[digest_of(tiny.SPEC.weights)] = {case.image: 0.5 for case in cases}
    blank = line.round(**{case.image: float(case.image in empty) for case in cases})
    assert blank.measured["low"] > 0.2, "over all images it is the better one by far"
    assert blank.status == "refused", blank.why
    assert "by -0.500" in blank.why
    finding = line.round(**{case.image: 0.5 if case.image in empty else 0.7 for case in cases})
    assert finding.status == "published", finding.why


def test_on_the_first_day_a_blank_answer_finds_nothing(tmp_path: Path) -> None:
    line = Line(tmp_path, "untrained")
    cases = tuple(CaseUsed(one, "a", "validation", one, "0" * 64) for one in ("a1", "a2", "a3"))
    line.snapshot = Snapshot(cases, (), ("a2", "a3"))
    blank = line.round(a1=0.0, a2=1.0, a3=1.0)
    assert blank.status == "refused"
    assert "it finds nothing" in blank.why
    assert line.round(a1=0.1, a2=0.0, a3=0.0).status == "published"


def test_labels_that_are_the_champions_own_answer_are_counted_and_said(line: Line) -> None:
    """Nobody can be better than who drew the label."""
    line.figures[digest_of(tiny.SPEC.weights)] = {"a": 1.0, "b": 1.0, "c": 0.5}
    refused = line.round(0.96, 0.97, 0.8)
    assert refused.status == "refused"
    assert refused.measured["unchanged"] == 2
    assert "; 2 of the 3 labels with a lesion that this was measured on are the serving model's own" in refused.why
    passed = line.round(1.0, 1.0, 0.8)
    assert (passed.status, passed.measured["unchanged"]) == ("published", 2)
    assert "own answer" not in passed.why


def test_an_empty_image_on_which_nothing_was_found_is_no_answer_of_the_champions(line: Line) -> None:
    line.snapshot = Snapshot(line.snapshot.cases, (), ("a",))
    line.figures[digest_of(tiny.SPEC.weights)] = {"a": 1.0, "b": 0.6, "c": 0.5}
    refused = line.round(1.0, 0.2, 0.1)
    assert (refused.status, refused.measured["unchanged"]) == ("refused", 0)
    assert "own answer" not in refused.why


def test_a_job_that_was_cut_off_in_publishing_makes_one_version_whatever_came_in_between(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("tumorseg.versions.store.write_pointer", killed)
        with pytest.raises(Killed):
            line.round(0.80)
    assert line.publishing().made() is None
    between = line.round(0.70)
    again = line.challenge(1)
    assert again.parent == between.id
    assert [card.measured["job"] for card in line.store.list("tiny")] == ["round1", "round2"]
    assert [card.status for card in line.store.list("tiny")] == ["published", "published"]
    made = line.publishing(1).made()
    assert made == again


class Killed(BaseException):
    """The process ends here."""


def killed(*_: object) -> None:
    raise Killed
