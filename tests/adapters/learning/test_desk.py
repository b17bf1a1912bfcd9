"""What follows from labels, scores that are missing and versions: which jobs are asked for, and how often.

Another "server" holds the lock of the jobs, so that none runs and every one can be counted.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests import tiny
from tests.serving import config_for
from tumorseg.active_learning.store import ScoreStore
from tumorseg.active_learning.types import EMBEDDING, ENTROPY, MARGIN
from tumorseg.adapters.jobs.records import write_state
from tumorseg.adapters.jobs.types import Job, JobState, Status
from tumorseg.adapters.learning import again
from tumorseg.adapters.learning.columns import PLAIN_COLUMNS
from tumorseg.adapters.learning.score import scores_path
from tumorseg.adapters.learning.scoring import METHOD, SERVER
from tumorseg.adapters.models import ModelPool
from tumorseg.adapters.sources import ImageEntry
from tumorseg.adapters.workplace import Workplace
from tumorseg.config import AppConfig
from tumorseg.errors import InputError, NotFoundError, UnavailableError
from tumorseg.models.base import Model

LIMIT_S = 60.0
NEEDED = 2


@pytest.fixture
def config(tmp_path: Path) -> AppConfig:
    tiny.write_studies(tmp_path / "studies")
    return config_for(
        tmp_path / "studies",
        tmp_path,
        labels=tmp_path / "labels",
        models="tiny,threshold",
        extra_models=f"{tiny.EXTRA_MODELS},threshold=tests.support:build_bright",
        train_after=NEEDED,
        device="cpu",
    )


@contextmanager
def opened(config: AppConfig) -> Iterator[Workplace]:
    """A workplace whose learning desk is at work, and whose jobs another server is to run."""
    folder = config.state / "jobs"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        place = Workplace.open(config)
        place.learning.start()
        try:
            yield place
        finally:
            place.close()


@pytest.fixture
def place(config: AppConfig) -> Iterator[Workplace]:
    with opened(config) as place:
        yield place


def until(what: Callable[[], bool]) -> None:
    end = time.monotonic() + LIMIT_S
    while not what():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)


def save(place: Workplace, image: str, *, empty: bool = False) -> None:
    study = tiny.study(image)
    folder = place.config.cache / "sent"
    folder.mkdir(parents=True, exist_ok=True)
    file = tiny.write_mask(folder / f"{image}.nii.gz", study, study.mask * 0 if empty else None)
    info = {"label_info": [{"name": "tumor", "idx": 1}]}
    place.datastore.keep_label(image, "final", file, info)


def jobs(place: Workplace, kind: str) -> list[tuple[Job, JobState]]:
    return [(job, state) for job, state in place.learning.jobs.runner.list() if job.kind == kind]


def open_jobs(place: Workplace, kind: str) -> list[Job]:
    return [job for job, state in jobs(place, kind) if state.status == "SUBMITTED"]


def seen(place: Workplace) -> Callable[[], bool]:
    """Tell whether every label of now was looked at: two looks later the first one is through."""
    newest = place.learning._news.newest()
    return lambda: place.learning._seen[0] >= newest


def test_enough_new_labels_ask_for_one_training_and_a_restart_for_none(config: AppConfig) -> None:
    with opened(config) as place:
        save(place, "p0")
        until(seen(place))
        assert not jobs(place, "train")
        save(place, "p1", empty=True)  # "no lesion" is a label
        until(lambda: bool(jobs(place, "train")))
        ((job, _),) = jobs(place, "train")
        assert job.model == "tiny"
        assert job.who == f"after {NEEDED} labels"
        save(place, "p2")
        save(place, "p3")
        until(seen(place))
        assert len(jobs(place, "train")) == 1  # it waits, and will learn from these too
        place.learning.jobs.stop("train", "ann")
    with opened(config) as again:
        until(seen(again))
        save(again, "p4")
        until(seen(again))
        assert not open_jobs(again, "train")
        save(again, "p5")
        until(lambda: len(open_jobs(again, "train")) == 1)


def end(place: Workplace, state: JobState) -> None:
    """End the training that waits, as the worker and the runner do."""
    (job,) = open_jobs(place, "train")
    write_state(place.learning.jobs.runner.store.path(job.id), state)
    place.learning._ended(job, state)


def away() -> JobState:
    return JobState("ERROR", ended=time.time(), error="the archive does not answer")


def test_labels_of_a_training_that_failed_for_a_reason_that_passes_are_learned_from_after_a_pause(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They counted as learned: an archive that was away for a minute cost a training until as many more had come."""
    save(place, "p0")
    save(place, "p1")
    until(lambda: len(open_jobs(place, "train")) == 1)
    until(lambda: place.learning.new_labels() == {"tiny": 0})
    end(place, away())
    until(lambda: place.learning.new_labels() == {"tiny": 2})
    save(place, "p2")  # comes along, and shortens no pause
    until(lambda: place.learning.new_labels() == {"tiny": 3})
    time.sleep(0.2)
    assert not open_jobs(place, "train")
    monkeypatch.setattr(again, "PAUSE_S", 0.0)
    for _ in range(again.MOST_TRIES - 1):
        until(lambda: len(open_jobs(place, "train")) == 1)
        end(place, away())
    until(lambda: place.learning._seen[2] == again.MOST_TRIES)
    assert not open_jobs(place, "train")  # enough is enough
    assert place.learning.new_labels() == {"tiny": 0}
    assert len(jobs(place, "train")) == again.MOST_TRIES
    save(place, "p3")
    save(place, "p4")
    until(lambda: len(open_jobs(place, "train")) == 1)


def test_a_restart_and_a_clock_that_was_put_back_forget_no_failed_training(config: AppConfig) -> None:
    with opened(config) as place:
        save(place, "p0")
        save(place, "p1")
        until(lambda: len(open_jobs(place, "train")) == 1)
        (job,) = open_jobs(place, "train")
        # And the server ends before it knows.
        write_state(place.learning.jobs.runner.store.path(job.id), replace(away(), ended=time.time() + 365 * 86400.0))
    with opened(config) as place:
        until(lambda: len(open_jobs(place, "train")) == 1)


@pytest.mark.parametrize(
    "state",
    [
        JobState("ERROR", error="none of the labels shows a tumour", refused=True),
        JobState("STOPPED"),
        JobState("DONE", result={"status": "refused"}),
    ],
)
def test_a_training_that_would_end_the_same_way_is_not_begun_again(
    place: Workplace, monkeypatch: pytest.MonkeyPatch, state: JobState
) -> None:
    monkeypatch.setattr(again, "PAUSE_S", 0.0)
    save(place, "p0")
    save(place, "p1")
    until(lambda: len(open_jobs(place, "train")) == 1)
    end(place, replace(state, ended=time.time()))
    until(lambda: place.learning._seen[2] == 1)
    assert not open_jobs(place, "train")
    assert place.learning.new_labels() == {"tiny": 0}


def test_a_training_that_a_person_asked_for_is_theirs_to_ask_for_again(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(again, "PAUSE_S", 0.0)
    save(place, "p0")
    save(place, "p1")
    until(lambda: len(open_jobs(place, "train")) == 1)
    place.learning.jobs.stop("train", "ann")
    place.learning.train("tiny", {}, "ann")
    end(place, away())
    until(lambda: place.learning._seen[2] == 1)
    assert not open_jobs(place, "train")


def test_a_note_on_a_label_and_a_draft_start_nothing(place: Workplace) -> None:
    save(place, "p0")
    place.datastore.update_label_info("p0", "final", {"note": "looks right"})
    for image in ("p1", "p2"):
        study = tiny.study(image)
        file = tiny.write_mask(place.config.cache / f"{image}.nii.gz", study)
        place.datastore.keep_label(image, "original", file, {})
    until(seen(place))
    assert not jobs(place, "train")


def test_one_patient_starts_nothing_and_the_second_does(config: AppConfig) -> None:
    """What would be refused when it runs is not asked for again and again."""
    with opened(config) as place:
        save(place, "p0")
        with pytest.raises(InputError, match="patient"):
            place.learning.train("tiny", {}, "ann")
        save(place, "p1")
        until(lambda: len(jobs(place, "train")) == 1)


def test_labels_are_not_taken_while_nobody_can_tell_whether_they_will_do(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An archive that was away cost two writes to the index a second; who was killed in between forgot the labels."""
    asked: list[str] = []
    taken: list[object] = []
    claim = place.learning._news.claim

    def away(image: str) -> ImageEntry:
        asked.append(image)
        raise UnavailableError("the archive does not answer")

    def noting(model: str, needed: int) -> int | None:
        taken.append(model)
        return claim(model, needed)

    monkeypatch.setattr(place.learning._news, "claim", noting)
    with monkeypatch.context() as archive:
        save(place, "p0")
        archive.setattr(place.learning, "_source", SimpleNamespace(entry=away, ids=place.source.ids))
        save(place, "p1")
        until(lambda: len(asked) >= 2)
        assert not taken
    until(lambda: len(open_jobs(place, "train")) == 1)
    assert len(taken) == 1


def test_the_same_training_waits_once_and_another_beside_it(place: Workplace) -> None:
    save(place, "p0")
    save(place, "p1")
    until(lambda: len(jobs(place, "train")) == 1)
    first = open_jobs(place, "train")[0]
    assert place.learning.train("tiny", {"client_id": "slicer"}, "ann").id == first.id
    other = place.learning.train("tiny", {"pretrained": False}, "ann")
    assert {job.id for job in open_jobs(place, "train")} == {first.id, other.id}
    said = place.learning.jobs.stop("train", "ann")
    assert said["status"] == "STOPPED"
    assert said["details"]
    assert not open_jobs(place, "train")
    assert place.learning.jobs.stop("train", "ann") == {}


def test_a_training_that_was_interrupted_learns_nothing_of_labels_saved_since(place: Workplace) -> None:
    """Its list of cases is fixed: to take it for one that waits had new labels forgotten."""
    save(place, "p0")
    save(place, "p1")
    until(lambda: len(jobs(place, "train")) == 1)
    (first,) = open_jobs(place, "train")
    write_state(place.learning.jobs.runner.store.path(first.id), JobState("SUBMITTED", attempts=1, fraction=0.5))
    save(place, "p2")
    until(seen(place))
    assert place.learning.new_labels() == {"tiny": 1}
    save(place, "p3")
    until(lambda: len(open_jobs(place, "train")) == 2)
    second = next(job for job in open_jobs(place, "train") if job.id != first.id)
    assert again.asked(second.request) == again.asked(first.request)
    assert place.learning.train("tiny", {}, "ann").id == second.id  # which has not begun


def test_what_cannot_be_trained_is_said_at_once(place: Workplace) -> None:
    with pytest.raises(NotFoundError, match="trainers: tiny"):
        place.learning.train("nobody", {}, "ann")
    with pytest.raises(NotFoundError, match="no trainer for 'threshold'"):
        place.learning.train("threshold", {}, "ann")
    with pytest.raises(InputError, match="label"):
        place.learning.train("tiny", {}, "ann")
    assert not jobs(place, "train")


def test_scores_that_a_strategy_misses_are_asked_for_once(place: Workplace) -> None:
    for _ in range(3):
        assert place.strategies["entropy"]({"who": "ann"}, place.datastore) is not None
    until(lambda: bool(jobs(place, "score")))
    (job,) = open_jobs(place, "score")
    assert (job.model, job.who) == ("tiny", SERVER)
    assert ENTROPY in job.request["columns"]
    place.learning.want_scores({ENTROPY})
    place.learning.want_scores({MARGIN})
    until(lambda: len(open_jobs(place, "score")) == 2)
    assert {column for job in open_jobs(place, "score") for column in job.request["columns"]} >= {ENTROPY, MARGIN}


def test_scores_that_could_not_be_asked_for_are_not_forgotten(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that was full for a second left strategies without scores until the next restart."""
    tried: list[str] = []

    def full(*said: object) -> Job:
        tried.append("full")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(place.learning.jobs.runner, "submit", full)
        assert place.strategies["entropy"]({"who": "ann"}, place.datastore) is not None
        until(lambda: bool(tried))
    until(lambda: bool(open_jobs(place, "score")))


@pytest.mark.parametrize(("ended_in_s", "again"), [(-1.0, False), (365 * 86400.0, True)])
def test_a_scoring_that_failed_is_tried_again_also_where_the_clock_was_put_back(
    place: Workplace, ended_in_s: float, again: bool
) -> None:
    """A job that ended next year, by a clock that was wrong, kept scores from being computed until then."""
    scoring, store = place.learning.scoring, place.learning.jobs.runner.store
    job = scoring.start(METHOD, "ann")
    write_state(store.path(job.id), JobState("ERROR", ended=time.time() + ended_in_s, error="no memory"))
    place.learning.jobs.changed()
    place.learning.want_scores({ENTROPY})
    scoring.look()
    until(lambda: bool(open_jobs(place, "score")) if again else not scoring._wanted)
    assert bool(open_jobs(place, "score")) == again


def scored(place: Workplace, **said: object) -> None:
    """Leave what a scoring leaves that is through with every image."""
    scoring, images = place.learning.scoring, place.source.ids()
    model = place.engine.models.get("tiny")
    vector = np.zeros(4, np.float32)
    for image, state in place.source.states(images).items():
        scoring._store.put("tiny", model.version, image, state, dict.fromkeys(PLAIN_COLUMNS - {EMBEDDING}, 0.5), vector)
    job = scoring.start(METHOD, "ann")
    result = {"version": model.version, "columns": sorted(PLAIN_COLUMNS), "images": len(images)}
    told = {**result, "scored": len(images), "skipped": 0, **said}
    ended = time.time() - float(str(told.pop("age", 1)))
    write_state(place.learning.jobs.runner.store.path(job.id), JobState("DONE", ended=ended, result=told))
    until(lambda: place.learning.jobs.all()[0][1].status == "DONE")


def test_an_image_that_was_replaced_after_all_were_scored_is_scored_at_once(place: Workplace) -> None:
    """As many images as before counted as nothing new for an hour."""
    scored(place)

    def ask() -> bool:
        return place.strategies["entropy"]({"who": "ann"}, place.datastore) is not None

    assert ask()
    place.learning.scoring.look()
    assert not open_jobs(place, "score")
    image = place.source.ids()[0]
    before = place.source.states([image])
    for file in (Path(place.config.studies) / image).parent.glob(f"{image}*"):
        file.touch()
    assert place.source.states([image]) != before
    until(lambda: ask() and bool(open_jobs(place, "score")))


@pytest.mark.parametrize(
    ("said", "again"),
    [
        ({}, True),
        ({"skipped": 1}, False),
        ({"skipped": 1, "age": 700}, True),
        ({"scored": 0}, False),
        ({"columns": [MARGIN]}, False),
        ({"columns": [MARGIN], "age": 700}, False),
        ({"images": 1, "skipped": 1}, True),
    ],
)
def test_a_scoring_is_in_vain_where_it_would_end_as_the_last_one(
    place: Workplace, said: dict[str, object], again: bool
) -> None:
    scoring = place.learning.scoring
    scored(place, **said)
    place.learning.want_scores({ENTROPY})
    until(lambda: bool(open_jobs(place, "score")) if again else not scoring._wanted)
    scoring.look()
    assert bool(open_jobs(place, "score")) == again


def test_scores_make_way_for_a_training_and_come_after_it(place: Workplace) -> None:
    place.learning.want_scores({ENTROPY})
    until(lambda: len(open_jobs(place, "score")) == 1)
    save(place, "p0")
    save(place, "p1")
    until(lambda: len(open_jobs(place, "train")) == 1 and not open_jobs(place, "score"))
    place.learning.jobs.stop("train", "ann")
    until(lambda: [job.request["columns"] for job in open_jobs(place, "score")] == [[ENTROPY]])


def test_a_scoring_that_somebody_stopped_is_not_begun_again_at_once(place: Workplace) -> None:
    """Who stops it needs the processors for something; the next case that was asked for had it begun again."""
    scoring = place.learning.scoring
    place.learning.want_scores({ENTROPY})
    until(lambda: len(open_jobs(place, "score")) == 1)
    assert scoring.stop("rita")["status"] == "STOPPED"
    place.learning.want_scores({ENTROPY})
    scoring.look()
    assert not open_jobs(place, "score")
    scoring.start(METHOD, "rita")
    assert len(open_jobs(place, "score")) == 1


def test_what_a_person_has_scored_is_not_stopped(place: Workplace) -> None:
    job = place.learning.scoring.start(METHOD, "ann")
    save(place, "p0")
    save(place, "p1")
    until(lambda: len(open_jobs(place, "train")) == 1)
    assert [one.id for one in open_jobs(place, "score")] == [job.id]


def test_scores_of_another_version_are_computed_again(config: AppConfig) -> None:
    """Also where it was published while no server ran."""
    with opened(config) as place:
        place.learning.scoring._store.put("tiny", "another", "p0", "state", {ENTROPY: 0.5}, None)
        until(lambda: len(open_jobs(place, "score")) == 1)
        place.learning.jobs.stop("score", "ann")
        version = place.engine.models.get("tiny").version
        place.learning.scoring._store.put("tiny", version, "p0", "state", {ENTROPY: 0.5}, None)
    with opened(config) as again:
        looked = again.learning.scoring._seen
        until(lambda: "tiny" in looked)
        assert not open_jobs(again, "score")


def test_weights_that_cannot_be_read_are_tried_once_and_not_every_second(
    config: AppConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To hash and load a real network's file takes a processor most of a second."""
    tried: list[str] = []
    build = ModelPool.build

    def noting(pool: ModelPool, name: str, weights: Path | None) -> Model:
        tried.append(name)
        return build(pool, name, Path("/nowhere.safetensors") if name == "tiny" else weights)

    monkeypatch.setattr(ModelPool, "build", noting)
    store = ScoreStore(scores_path(config.state))
    store.put("tiny", "earlier", "p0", "state", {ENTROPY: 0.5}, None)
    store.close()
    with opened(config) as place:
        for _ in range(3):
            place.learning.scoring.look()
            assert place.strategies["entropy"]({"who": "ann"}, place.datastore) is not None
            assert "tiny" not in place.info()["models"]
    assert tried.count("tiny") == 1


def test_a_workplace_that_does_not_serve_runs_nothing(config: AppConfig) -> None:
    place = Workplace.open(config)
    try:
        place.learning.label_saved()
        place.learning.want_scores({ENTROPY})
        assert place.info()["trainers"].keys() == {"tiny"}
        assert not (config.state / "jobs").exists()
    finally:
        place.close()


def test_a_state_folder_that_fails_is_told_once_and_tried_again(
    config: AppConfig, caplog: pytest.LogCaptureFixture
) -> None:
    """The labels are kept all the same, and the training comes once the folder is well."""
    with opened(config) as place:
        in_the_way = config.state / "jobs" / "queue.lock"
        in_the_way.mkdir()
        save(place, "p0")
        save(place, "p1")
        until(lambda: "queue.lock" in caplog.text)
        until(lambda: place.learning._news.count("tiny") == 2)
        in_the_way.rmdir()
        until(lambda: len(open_jobs(place, "train")) == 1)
    assert len([one for one in caplog.records if one.levelname == "WARNING" and "queue.lock" in one.message]) == 1


@pytest.mark.parametrize("status", ["ERROR", "DONE", "STOPPED"])
def test_the_servers_log_has_no_word_of_a_job_that_may_name_somebody(
    place: Workplace, caplog: pytest.LogCaptureFixture, status: Status
) -> None:
    """An error quotes what stands in a file, a refusal names images, also those that are gone and nobody knows of."""
    caplog.set_level(logging.DEBUG)
    job = Job("20261121-120000-000001", "train", "tiny", {}, "ann", time.time())
    result = {"version": "0003-1f2e3d4c", "status": "refused", "why": "masks of miller_1950 are inverted", "cases": 7}
    place.learning._ended(job, JobState(status, error="ValueError: Invalid value for VR PN: 'Miller^John'"))
    place.learning._ended(job, JobState(status, error="no image is called 'miller_1950'", result=result))
    said = [one for one in caplog.records if job.id in one.getMessage()]
    assert len(said) == 2
    assert "miller" not in caplog.text.casefold()
    assert f"is {status}" in caplog.text
    assert "0003-1f2e3d4c" in caplog.text
    assert "cases 7" in caplog.text
    assert ("/learning" in caplog.text) == (status == "ERROR")
