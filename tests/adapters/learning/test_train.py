"""A whole training on saved labels: what is published, what is refused, and what a kill or a stop leaves."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from tests import tiny
from tests.adapters.learning.round_room import Room, around, inverted
from tumorseg.adapters.jobs.reporter import Reporter
from tumorseg.adapters.jobs.types import Job
from tumorseg.adapters.learning import train
from tumorseg.adapters.learning.measure import Measurements, case_dice
from tumorseg.adapters.learning.publishing import Publishing
from tumorseg.adapters.learning.shelf import Shelf
from tumorseg.adapters.learning.snapshot import read_snapshot
from tumorseg.adapters.learning.volumes import CaseReader
from tumorseg.errors import InputError, NotFoundError, StorageError
from tumorseg.labels.rebuild import rebuild_index
from tumorseg.training.data import Volume
from tumorseg.training.round import RoundOptions, train_round
from tumorseg.versions import store as version_store
from tumorseg.versions.types import SHIPPED

#: By hash p0 and p7 validate.
EARLY = ("p0", "p1", "p2", "p3", "p4")
#: More who validate by hash.
VALIDATING = ("p9", "p11", "p17", "p28", "p33", "p37", "p38", "p44")


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a room whose model learned from five studies and serves."""
    root = tmp_path_factory.mktemp("taught")
    place = Room(root)
    for name in EARLY:
        place.save(name)
    state = place.train(epochs=16, **{"from": "scratch"})
    assert state.result["status"] == "published", place.jobs.list()
    place.close()
    return root


@pytest.fixture
def learned(taught: Path, tmp_path: Path) -> Iterator[Room]:
    """A copy of it."""
    shutil.copytree(taught, tmp_path / "room")
    place = Room(tmp_path / "room")
    yield place
    place.close()


class Cut(BaseException):
    """The process is killed here."""


class Observed(Reporter):
    """The real reporter, and somebody who does something at a certain part of the job, once."""

    at: float = 2.0
    then: Callable[[], None]

    def progress(self, fraction: float, **more: Any) -> None:
        super().progress(fraction, **more)
        if fraction >= self.at:
            self.at = 2.0
            self.then()


def observed(room: Room, job: Job, at: float, then: Callable[[], None]) -> Observed:
    reporter = Observed(room.jobs.path(job.id))
    reporter.at, reporter.then = at, then
    return reporter


def cut() -> None:
    raise Cut


def dice_on(room: Room, name: str, weights: Path | None) -> float:
    model = tiny.build(weights, "cpu")
    image, grid = room.source.read(name, model.channels)
    mask = room.studies[name].mask > 0
    found = model.predict(image).segmentation.voxels > 0
    assert grid.shape == found.shape
    return 2 * float((mask & found).sum()) / float(mask.sum() + found.sum())


def test_a_better_model_is_published_and_its_card_says_what_it_learned_from(learned: Room) -> None:
    (card,) = learned.versions.list("tiny")
    assert learned.versions.serving("tiny") == card.id
    assert (card.status, card.how, card.parent, card.made_by) == ("published", "trained", SHIPPED, "anna")
    assert {case.image: case.part for case in card.cases} == {
        name: "validation" if name == "p0" else "train" for name in EARLY
    }
    versions = {case.image: learned.labels.head(case.image, "final") for case in card.cases}
    assert all((versions[c.image].uid, versions[c.image].sha256) == (c.label, c.sha256) for c in card.cases)
    before, after = (dice_on(learned, "p0", path) for path in (None, learned.versions.current("tiny")))
    assert card.measured["champion"]["mean"] == pytest.approx(before, abs=1e-6)
    assert card.measured["candidate"]["mean"] == pytest.approx(after, abs=1e-6)
    assert after > 0.6 > before
    (job, _) = learned.jobs.list()[0]
    said = learned.log(job)
    assert "4 images of 4 patients to learn from, 1 image of 1 patient to measure on, 0 left out" in said
    assert "published" in said
    assert said.count("5 images of 5 patients: p0 (1), p1 (1), p2 (1), p3 (1), p4 (1)") == 1


def test_the_next_round_goes_on_from_what_serves_and_names_it_as_parent(learned: Room) -> None:
    (first,) = learned.versions.list("tiny")
    for name in ("p5", "p6", "p7"):
        learned.save(name)
    job = learned.ask(epochs=4)
    state = learned.train(job)
    card = learned.versions.list("tiny")[0]
    assert card.parent == first.id
    assert state.result["version"] == card.id
    assert f"going on from {first.id}" in learned.log(job)
    assert {case.image for case in card.cases if case.part == "validation"} == {"p0", "p7"}
    assert state.result["champion"] > 0.5, "the champion is the model that serves and not the one of the beginning"


def test_an_index_that_was_lost_leaves_who_validates_as_the_cards_say(room: Room) -> None:
    """Made again it decided anew, by who came first: who had trained the champion validated."""
    for name in ("p1", "p2"):  # both train by hash, so that the second one validates
        room.save(name)
    room.train(epochs=1)
    room.labels.remove("p1", "final")
    room.save("p1")  # comes second from now on
    history = room.labels.history
    history.close()
    history.database.path.unlink()
    with history.guard(alone=True):
        rebuild_index(history)
    room.train(epochs=1)
    after, before = ({case.image: case.part for case in card.cases} for card in room.versions.list("tiny"))
    assert [case.image for case in room.versions.list("tiny")[0].cases] == ["p2", "p1"]
    assert before == after == {"p1": "train", "p2": "validation"}


def test_a_first_round_of_inverted_masks_is_refused_and_nothing_is_trained(room: Room) -> None:
    room.save_all(inverted)
    job = room.ask()
    state = room.train(job)
    (card,) = room.versions.list("tiny")
    assert (card.status, card.sha256, card.cases) == ("refused", "", ())
    assert "8 of 8 new masks mark most of their image" in card.why
    assert state.status == "DONE"
    assert state.result["status"] == "refused"
    assert state.result["left_out"] == 8
    assert room.versions.serving("tiny") == SHIPPED
    assert not (room.jobs.path(job.id) / "round").exists()
    assert room.log(job).count("was the mask inverted?") == 8


def test_half_of_the_new_masks_inverted_spoil_the_other_half_and_old_ones_do_not_outvote_them(learned: Room) -> None:
    for name in ("p5", "p6"):
        learned.save(name, inverted(learned.studies[name].mask))
    for name in ("p7", "p1"):
        learned.save(name, np.roll(learned.studies[name].mask, 1, axis=1))
    assert learned.train(epochs=1).result["status"] == "refused"
    assert "2 of 4 new masks" in learned.versions.list("tiny")[0].why


def test_one_inverted_mask_among_many_is_left_out_and_the_rest_is_learned_from(room: Room) -> None:
    room.save_all()
    room.save("p3", inverted(room.studies["p3"].mask))
    job = room.ask(epochs=1)
    state = room.train(job)
    assert state.result["cases"] == 7
    assert state.result["left_out"] == 1
    assert "left out: p3" in room.log(job)


def test_a_candidate_of_inverted_masks_loses_against_honest_validation_labels(learned: Room) -> None:
    serving = learned.versions.serving("tiny")
    job = learned.ask()
    folder = learned.jobs.path(job.id)
    snapshot = train.Training(job, learned.config, learned.reporter(job), reader_of(learned))._begin()
    volumes, _ = reader_of(learned).volumes(snapshot.cases, "none", 16, Shelf(learned.root / "shelf", 0), lambda: None)
    poisoned = [
        Volume(volume.id, volume.image, 1 - volume.mask) for case, volume in volumes.items() if case.part == "train"
    ]
    options = RoundOptions(epochs=8, threads=1, device="cpu")
    start = learned.versions.current("tiny")
    # Validated on inverted masks too, so that the best epoch is the most inverted one.
    candidate = train_round(tiny.SPEC, start, poisoned, poisoned[:1], folder / "round", options)
    publishing = Publishing(learned.config, job)
    measurements = Measurements(folder, reader_of(learned), lambda: None)
    card = publishing.challenge(snapshot, candidate, measurements, pytest.fail)
    assert card.status == "refused"
    assert card.measured["candidate"]["mean"] < card.measured["champion"]["mean"] - 0.1
    assert learned.versions.serving("tiny") == serving
    assert not list(learned.versions.root.rglob(f"{card.sha256}.safetensors")), "weights that were refused are not kept"


def reader_of(room: Room) -> CaseReader:
    return CaseReader(room.source, room.labels.history, "tiny", tiny.SPEC)


def test_a_round_that_agrees_with_its_own_wrong_validation_labels_is_refused_by_those_that_stood_before(
    learned: Room,
) -> None:
    learned.studies |= tiny.write_studies(learned.root / "studies", VALIDATING)
    for name in ("p1", "p2", "p3", "p4", "p5", "p6", "p7", *VALIDATING):  # everybody but p0, who validated before
        learned.save(name, around(learned.studies[name].mask))
    state = learned.train(epochs=12, **{"from": "scratch"})
    card = learned.versions.list("tiny")[0]
    champion, candidate = (card.measured[which]["patients"] for which in ("champion", "candidate"))
    assert candidate["p0"] < champion["p0"] - 0.1, "it learned what it was told"
    assert card.measured["low"] > 0, "its own validation labels agree with it"
    assert state.result["status"] == "refused", card.why


def test_without_labels_there_is_a_clear_error_and_nothing_is_trained(room: Room) -> None:
    with pytest.raises(InputError, match="expected labels tagged 'final' to learn from, there are none"):
        room.train()
    assert room.versions.list("tiny") == []


def test_labels_that_cannot_be_used_are_no_labels(room: Room) -> None:
    job = room.ask()
    room.save("p1", label_info=[{"name": "oedema", "idx": 1}])
    with pytest.raises(InputError, match="none of the 1 labels can be learned from; the first, of p1: the class"):
        room.train(job)
    assert "left out: p1" in room.log(job)


def test_one_patient_cannot_learn_and_validate(room: Room) -> None:
    room.save("p1")
    with pytest.raises(InputError, match="1 with nobody to measure on: label another patient"):
        room.train()


def test_only_studies_without_lesion_teach_nothing(room: Room) -> None:
    room.save("p0")
    room.save("p1", np.zeros(tiny.SHAPE))
    with pytest.raises(InputError, match="none of the 1 images to learn from shows a tumour"):
        room.train()


def test_a_model_that_finds_nothing_is_not_measured_on_those_who_have_nothing(room: Room) -> None:
    for name in ("p1", "p2", "p3"):
        room.save(name)
    room.save("p2", np.zeros(tiny.SHAPE))  # the second patient, who validates
    room.save("p0", np.zeros(tiny.SHAPE))
    job = room.ask(epochs=1)
    with pytest.raises(InputError, match="none of the 2 images to measure on shows a lesion"):
        room.train(job)
    assert room.versions.list("tiny") == []


def test_an_image_that_the_model_cannot_look_at_stops_no_training(room: Room) -> None:
    for name in EARLY:
        room.save(name)
    study = room.studies["p3"]
    two = np.stack([study.image.T] * 2, axis=-1)  # two sequences without names, where the model wants three
    nibabel.save(nibabel.Nifti1Image(two, study.affine), room.root / "studies" / "p3.nii.gz")
    job = room.ask(epochs=1)
    room.train(job)
    (card,) = room.versions.list("tiny")
    assert {case.image for case in card.cases} == {*EARLY} - {"p3"}
    (left,) = card.measured["left_out"]
    assert left["image"] == "p3"
    assert "tiny cannot look at it: expected the sequences" in left["why"]
    assert "left out: p3" in room.log(job)


def test_pictures_that_fit_on_no_disk_are_said(tmp_path: Path) -> None:
    room = Room(tmp_path, min_free_mb=str(shutil.disk_usage(tmp_path).total >> 20))
    room.save_all()
    with pytest.raises(StorageError, match="min_free_mb"):
        room.train()
    room.close()


def test_what_a_killed_training_read_is_not_read_again_and_goes_with_its_job(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    room.save_all()
    job = room.ask(epochs=3)
    with monkeypatch.context() as patched:
        patched.setattr("tumorseg.training.round.train_round", lambda *_, **__: cut())
        with pytest.raises(Cut):
            room.train(job)
    files = list(room.jobs.path(job.id).rglob("*.npy"))
    assert len(files) == 2 * len(room.studies)
    with monkeypatch.context() as patched:
        patched.setattr(CaseReader, "_volume", lambda *_: cut())
        room.train(job)


def test_a_model_that_does_not_learn_here_is_said(room: Room) -> None:
    with pytest.raises(NotFoundError, match="'resunet' cannot be trained here; trainable: tiny"):
        room.train(room.ask("resunet"))


@pytest.mark.parametrize("at", [0.4, 0.9], ids=["in training", "in measuring"])
def test_a_training_that_was_killed_goes_on_with_the_labels_it_began_with(room: Room, at: float) -> None:
    for name in EARLY:
        room.save(name)
    job = room.ask(epochs=6)
    with pytest.raises(Cut):
        train.run(job, room.config, observed(room, job, at, cut))
    room.save("p6")
    room.save("p1", np.roll(room.studies["p1"].mask, 1, axis=1))
    state = room.train(job)
    (card,) = room.versions.list("tiny")
    assert state.result["version"] == card.id
    assert {case.image for case in card.cases} == set(EARLY)
    begun = [line for line in room.log(job).splitlines() if "epoch 2 of 6 begins, the best validation Dice" in line]
    assert len(begun) == 1, "what was trained is not trained again"
    snapshot = read_snapshot(room.jobs.path(job.id))
    assert snapshot is not None
    assert card.cases == snapshot.cases


def test_a_training_that_was_killed_in_publishing_makes_one_version(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in EARLY:
        room.save(name)
    job = room.ask(epochs=12, **{"from": "scratch"})
    with monkeypatch.context() as patched:
        patched.setattr(version_store, "write_pointer", lambda *_: cut())
        with pytest.raises(Cut):
            room.train(job)
    assert room.versions.serving("tiny") == SHIPPED
    assert room.versions.list("tiny") == [], "what never served is no version to roll back to"
    state = room.train(job)
    (card,) = room.versions.list("tiny")
    assert room.versions.serving("tiny") == card.id == state.result["version"]
    assert room.train(job).result == state.result
    room.versions.rollback("tiny", SHIPPED, "rita")
    assert room.train(job).result == state.result
    assert room.versions.serving("tiny") == SHIPPED, "what somebody rolled back does not come back by a restart"
    assert len(room.versions.list("tiny")) == 1


@pytest.mark.parametrize("at", [0.0, 0.4, 0.9], ids=["reading", "training", "measuring"])
def test_a_training_that_is_stopped_publishes_nothing(room: Room, at: float) -> None:
    room.save_all()
    job = room.ask(epochs=4)
    reporter = observed(room, job, at, lambda: reporter.stop())
    room.jobs.begin(job.id)
    room.jobs.cancel(job.id)
    train.run(job, room.config, reporter)
    assert reporter.finish().status == "STOPPED"
    assert room.versions.list("tiny") == []


def test_a_version_that_came_in_between_is_what_the_candidate_must_beat(learned: Room) -> None:
    (first,) = learned.versions.list("tiny")
    job = learned.ask(epochs=1)
    reporter = observed(learned, job, 0.86, lambda: learned.versions.rollback("tiny", SHIPPED, "rita"))
    train.run(job, learned.config, reporter)
    card = learned.versions.list("tiny")[0]
    assert card.parent == SHIPPED
    assert card.id != first.id
    assert card.measured["champion"]["mean"] < 0.6, "compared with what serves now"
    assert f"{SHIPPED} serves by now and not {first.id}" in learned.log(job)


def test_the_first_day_of_a_model_without_weights(room: Room) -> None:
    for name in EARLY:
        room.save(name)
    job = room.ask("untrained", epochs=10)
    state = room.train(job)
    assert state.result["status"] == "published"
    assert state.result["champion"] is None
    assert room.versions.current("untrained") is not None
    assert "training from scratch" in room.log(job)


def test_measurements_are_made_once_for_the_same_weights(learned: Room, tmp_path: Path) -> None:
    snapshot_job = learned.jobs.list()[0][0]
    snapshot = read_snapshot(learned.jobs.path(snapshot_job.id))
    assert snapshot is not None
    looks: list[int] = []
    first = Measurements(tmp_path, reader_of(learned), lambda: looks.append(1))
    dice = first.by_patient("a", lambda: tiny.build(None, "cpu"), snapshot.cases)
    assert len(looks) == len(snapshot.cases)
    again = Measurements(tmp_path, reader_of(learned), lambda: looks.append(1))
    assert again.by_patient("a", lambda: pytest.fail("measured again"), snapshot.cases) == dice
    assert len(looks) == len(snapshot.cases)
    assert json.loads((tmp_path / "measured.json").read_text())["a"] == dice
    study = reader_of(learned).read(snapshot.cases[0])
    assert case_dice(tiny.build(None, "cpu"), study) == dice[snapshot.cases[0].patient]
