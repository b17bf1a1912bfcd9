"""The loop over HTTP as Slicer's and OHIF's panels go through it: label, train, a new version answers, ask again."""

from __future__ import annotations

import fcntl
import json
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests import tiny
from tests.serving import ask_slicer, config_for, in_process, token_of
from tumorseg.access.types import Role
from tumorseg.adapters.jobs.records import write_state
from tumorseg.adapters.jobs.types import JobState
from tumorseg.config import AppConfig
from tumorseg.versions.types import SHIPPED

MODEL = "untrained"
LIMIT_S = 240.0
#: What 3D Slicer sends of a trainer's table, with its name for itself.
SLICER = {"max_epochs": 0, "minutes": 1.0, "pretrained": True, "client_id": "user-xyz"}


def config_of(folder: Path, **conf: Any) -> AppConfig:
    tiny.write_studies(folder / "studies")
    given = {
        "labels": folder / "labels",
        "models": f"{MODEL},threshold",
        "extra_models": f"{tiny.EXTRA_MODELS},threshold=tests.support:build_bright",
        "train_minutes": 1,
        "train_threads": 1,
        "train_nice": 0,  # beside other tests the lowest priority would get nothing
        "device": "cpu",
    }
    return config_for(folder / "studies", folder, **{**given, **conf})


@contextmanager
def jobs_held(config: AppConfig) -> Iterator[None]:
    """Hold the lock of the jobs, as a server that runs them does: those that are asked for wait."""
    folder = config.state / "jobs"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture
def waiting(tmp_path: Path) -> Iterator[TestClient]:
    """A server whose jobs wait."""
    config = config_of(tmp_path)
    with jobs_held(config), in_process(config) as client:
        yield client


def until(what: Callable[[], Any], why: str) -> Any:
    """Wait until something is true, and return it."""
    end = time.monotonic() + LIMIT_S
    while not (found := what()):
        assert time.monotonic() < end, why
        time.sleep(0.1)
    return found


def save(client: TestClient, image: str, who: str = "ann", mask: Any = None) -> None:
    """Save a label as Slicer's panel does: a file, the names of its values, the tag left to the server."""
    study = tiny.study(image)
    folder: Path = client.app.state.workplace.config.cache / "sent"  # type: ignore[attr-defined]
    folder.mkdir(parents=True, exist_ok=True)
    file = tiny.write_mask(folder / f"{image}-{who}.nii.gz", study, mask)
    said = {"label_info": [{"name": "tumour", "idx": 1}], "client_id": who}
    answer = client.put(
        "/datastore/label",
        params={"image": image, "tag": "final"},
        data={"params": json.dumps(said)},
        files={"label": (file.name, file.read_bytes())},
    )
    assert answer.status_code == 200, answer.text


def is_running(client: TestClient) -> bool:
    return client.get("/train/", params={"check_if_running": "true"}).status_code == 200


def begun(client: TestClient, job: str) -> dict[str, Any] | None:
    """Return the statistics that Slicer shows, once there is something to show of a training that must not end."""
    said = client.get("/train/").json()
    assert (said["id"], said["status"]) in {(job, "SUBMITTED"), (job, "RUNNING")}, said
    stats: dict[str, Any] = next(iter(client.get("/info/").json()["train_stats"].values()))
    return stats if stats["epoch"] else None


def annotate(client: TestClient, who: str, given: list[str], count: int) -> None:
    """Take cases and label them, as one annotator does."""
    for _ in range(count):
        answer = client.post("/activelearning/hybrid", json={"client_id": who})
        assert answer.status_code == 200, answer.text
        given.append(answer.json()["id"])
        save(client, given[-1], who)


def test_from_no_label_to_a_model_that_answers(tmp_path: Path) -> None:
    """Two annotators at once; a training is stopped, the next one published; scores come by the version that serves."""
    with in_process(config_of(tmp_path)) as client:
        info = client.get("/info/").json()
        assert MODEL not in info["models"]  # nobody trained it: there is nothing to offer
        assert "tumour" in info["labels"]  # but its segment has a name
        assert info["versions"][MODEL]["serving"] == SHIPPED
        given: list[str] = []
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda who: annotate(client, who, given, 2), ("ann", "bob")))
        assert len(set(given)) == 4, "two annotators were given the same case"

        first = client.post(f"/train/{MODEL}", json={**SLICER, "max_epochs": 5000}).json()
        stats = until(lambda: begun(client, first["id"]), "the training does not begin")
        assert 0 < 100 * stats["epoch"] / stats["total_epochs"] <= 100
        assert "total_time" not in stats
        assert client.get("/train/").json()["status"] == "RUNNING"
        second = client.post(f"/train/{MODEL}", json=SLICER).json()
        assert second["status"] == "SUBMITTED"
        stopped = client.delete("/train/").json()
        assert (stopped["id"], stopped["status"]) == (first["id"], "STOPPED")
        assert stopped["details"][-1]
        assert {one["status"] for one in client.get("/train/", params={"all": True}).json()} == {"STOPPED"}
        assert not is_running(client)
        assert client.get("/info/").json()["versions"][MODEL]["serving"] == SHIPPED

        asked = {**SLICER, "max_epochs": 4}
        done = client.post(f"/train/{MODEL}", json=asked, params={"run_sync": True}).json()
        assert done["status"] == "DONE", done
        assert client.get("/train/").json()["id"] == done["id"]
        assert done["result"]["status"] == "published", done["result"]
        info = until(lambda: _served(client), "no new version serves")
        assert info["versions"][MODEL]["serving"] == done["result"]["version"]
        assert next(iter(info["train_stats"].values()))["total_time"]
        left = sorted(set(tiny.PATIENTS) - set(given))
        params, _, _ = ask_slicer(client, left[0], MODEL)
        assert params["version"] == info["models"][MODEL]["version"]

        # Who asks by a score that nobody computed is answered at once, and the server has it computed.
        shown = client.post("/activelearning/margin", json={"client_id": "ann"}).json()
        assert (shown["id"] in left, shown["score"]) == (True, None)
        scored = until(lambda: _by_score(client), "scores are not computed")
        assert scored["id"] in left
        assert scored["scoring"]["version"] == params["version"]
        assert client.get(f"/learning/jobs/{done['id']}/log").json()


def _by_score(client: TestClient) -> Any:
    said = client.post("/activelearning/margin", json={"client_id": "ann"}).json()
    return said if said["score"] is not None else None


def _served(client: TestClient) -> Any:
    info = client.get("/info/").json()
    return info if MODEL in info["models"] else None


def test_nothing_was_ever_trained(waiting: TestClient) -> None:
    for path in ("/train/", "/scoring/"):
        for params in ({}, {"all": True}, {"check_if_running": True}):
            assert waiting.get(path, params=params).status_code == 404
        assert waiting.delete(path).json() == {}  # Slicer then says nothing
    assert waiting.get("/learning/jobs").json() == []
    assert waiting.get("/learning/jobs/20260101-000000-000000/log").status_code == 404
    assert waiting.get("/learning/jobs/..%2F..%2Fpeople/log").status_code == 404


def test_what_cannot_be_trained_is_refused_at_once_and_nothing_waits(waiting: TestClient) -> None:
    def refused(model: str, params: Any = None) -> tuple[int, str]:
        answer = waiting.post(f"/train/{model}", json=params)
        return answer.status_code, str(answer.json()["detail"])

    status, why = refused("nobody")
    assert (status, MODEL in why) == (404, True)
    status, why = refused("threshold")
    assert (status, "no trainer" in why) == (404, True)
    status, why = refused(MODEL, SLICER)
    assert (status, "labels" in why) == (422, True)
    save(waiting, "p0")
    status, why = refused(MODEL, SLICER)
    assert (status, "two patients" in why or "2 patients" in why) == (422, True)
    save(waiting, "p1")
    for said in ({"minutes": 0}, {"minutes": 600}, {"max_epochs": -3}, {"from": "elsewhere"}, {"max_epochs": "many"}):
        assert refused(MODEL, said)[0] == 422
    assert waiting.post(f"/train/{MODEL}", content=b"[1]").status_code == 422
    assert waiting.post("/scoring/scores").status_code == 422  # no model here can be asked for any
    assert waiting.post("/scoring/dice").status_code == 404
    assert waiting.get("/learning/jobs").json() == []
    assert waiting.post(f"/train/{MODEL}").status_code == 200  # as a script without settings sends it


def test_a_rejected_label_is_none_to_learn_from(waiting: TestClient) -> None:
    save(waiting, "p0")
    save(waiting, "p1")
    version = waiting.get("/labels/p1").json()["versions"][0]["uid"]
    waiting.post(f"/labels/p1/versions/{version}/review", json={"verdict": "reject", "comment": "the cyst"})
    answer = waiting.post(f"/train/{MODEL}", json=SLICER)
    assert answer.status_code == 422
    assert "rejected" in answer.json()["detail"]


def test_what_waits_is_seen_asked_for_once_and_stopped(waiting: TestClient) -> None:
    """MONAI Label cannot cancel what waits, and answers 429 where something runs."""
    save(waiting, "p0")
    save(waiting, "p1")
    task = waiting.post(f"/train/{MODEL}", json=SLICER).json()
    assert task["status"] == "SUBMITTED"
    assert task["details"]
    assert {"id", "start_ts", "request"} <= task.keys()
    assert waiting.post(f"/train/{MODEL}", json=SLICER).json()["id"] == task["id"]
    other = waiting.post(f"/train/{MODEL}", json={**SLICER, "pretrained": False}).json()
    assert other["id"] != task["id"]
    assert waiting.get("/train/").json()["id"] == task["id"]  # whose turn comes first
    assert is_running(waiting)
    assert [one["id"] for one in waiting.get("/train/", params={"all": True}).json()] == [task["id"], other["id"]]
    assert waiting.delete("/train/threshold").json() == {}
    assert waiting.delete("/train/").json()["status"] == "STOPPED"
    assert not is_running(waiting)
    assert {one["status"] for one in waiting.get("/learning/jobs").json()} == {"STOPPED"}


def test_update_model_of_ohif_trains_the_default_one(waiting: TestClient) -> None:
    assert waiting.post("/train/", json={}).status_code == 422
    save(waiting, "p0")
    save(waiting, "p1")
    said = waiting.post("/train/", json={}).json()
    assert said.keys() == {MODEL}
    assert said[MODEL]["result"]["status"] == "SUBMITTED"
    named = waiting.post("/train/", json={MODEL: {"max_epochs": 7}}).json()
    assert named[MODEL]["result"]["request"]["epochs"] == 7
    assert waiting.post("/train/", json={MODEL: 5}).status_code == 422  # not an error of ours
    asked = len(waiting.get("/learning/jobs").json())
    assert waiting.post("/train/", json={MODEL: {"max_epochs": 9}, "threshold": {}}).status_code == 404
    assert len(waiting.get("/learning/jobs").json()) == asked  # all that are named, or none


def test_trainers_are_described_as_the_panels_list_and_edit_them(waiting: TestClient) -> None:
    """Slicer writes every value back as the type that it had; a list would be a choice of texts."""
    info = waiting.get("/info/").json()
    assert list(info["trainers"]) == [MODEL]
    config = info["trainers"][MODEL]["config"]
    assert {type(value) for value in config.values()} <= {int, float, bool}
    assert info["scoring"]
    assert info["train_stats"] == {}
    save(waiting, "p0")
    save(waiting, "p1")
    assert waiting.post(f"/train/{MODEL}", json=config).status_code == 200
    stats = waiting.get("/info/").json()["train_stats"][MODEL]
    assert (stats["epoch"], stats["total_epochs"], stats["best_metric"]) == (0, 1, 0.0)


def test_viewers_connect_and_labels_are_saved_while_the_folder_of_the_jobs_fails(waiting: TestClient) -> None:
    """Slicer and OHIF ask for /info/ first, and can do nothing where it is an error."""
    jobs = waiting.app.state.workplace.config.state / "jobs"  # type: ignore[attr-defined]
    jobs.rename(jobs.with_name("aside"))
    jobs.write_text("this is no folder")
    info = waiting.get("/info/")
    assert (info.status_code, info.json()["train_stats"]) == (200, {})
    save(waiting, "p0")
    assert waiting.post("/activelearning/entropy", json={}).status_code == 200
    assert waiting.get("/train/").status_code == 503


def test_who_may_look_start_and_stop(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    with jobs_held(config), in_process(config) as client:
        save(client, "p0")
        save(client, "p1")
        roles = (Role.VIEWER, Role.ANNOTATOR, Role.REVIEWER)
        viewer, annotator, reviewer = (
            {"Authorization": f"Bearer {token_of(config.state, role.title, role)}"} for role in roles
        )
        for headers in (viewer, annotator):
            assert client.post(f"/train/{MODEL}", json={}, headers=headers).status_code == 403
            assert client.delete("/train/", headers=headers).status_code == 403
        task = client.post(f"/train/{MODEL}", json={}, headers=reviewer).json()
        assert task["who"] == Role.REVIEWER.title
        for path in ("/train/", "/train/?all=true", "/learning/jobs"):
            shown, told = (json.dumps(client.get(path, headers=headers).json()) for headers in (annotator, reviewer))
            assert task["id"] in shown
            assert ('"who"' in shown, '"who"' in told) == (False, True)  # as on the page of the loop
        assert client.get("/train/", headers=viewer).json()["id"] == task["id"]
        log = f"/learning/jobs/{task['id']}/log"
        assert client.get(log, headers=viewer).status_code == 403
        assert client.get(log, headers=annotator).status_code == 200
        assert client.delete("/train/", headers=reviewer).status_code == 200
        kept = client.app.state.audit.folder  # type: ignore[attr-defined]
    from tumorseg.audit.read import Wanted, records

    found = [one for one in records(kept, Wanted(action="train.start")) if one.status == 200]
    assert [one.detail for one in found] == [{"job": task["id"]}]


def test_what_a_failed_job_said_is_for_annotators_and_above(tmp_path: Path) -> None:
    """Its last lines name images; a viewer read them unrecorded, while to read its log takes more and is recorded."""
    config = config_of(tmp_path)
    with jobs_held(config), in_process(config) as client:
        viewer, annotator = (
            {"Authorization": f"Bearer {token_of(config.state, role.title, role)}"}
            for role in (Role.VIEWER, Role.ANNOTATOR)
        )
        jobs = client.app.state.workplace.learning.jobs  # type: ignore[attr-defined]
        for kind in ("train", "score"):
            job = jobs.submit(kind, MODEL, {}, "ann")
            for line in ("p0 is left out: unreadable", "Traceback (most recent call last):", "ValueError: p0 is torn"):
                jobs.runner.store.say(job.id, line)
            write_state(jobs.runner.store.path(job.id), JobState("ERROR", error="ValueError: p0 is torn"))
        for path in ("/train/", "/scoring/", "/train/?all=true", "/scoring/?all=true", "/learning/jobs"):
            shown, told = (client.get(path, headers=headers).json() for headers in (viewer, annotator))
            assert "Traceback" in json.dumps(told)
            assert "p0 is torn" in json.dumps(told)
            assert "Traceback" not in json.dumps(shown)
            assert "p0" not in json.dumps(shown)
            for one in shown if isinstance(shown, list) else [shown]:
                assert (one["status"], "error" in one, len(one["details"])) == ("ERROR", False, 1)


def test_numbers_for_a_monitor(waiting: TestClient) -> None:
    save(waiting, "p0")
    save(waiting, "p1")
    before = waiting.get("/metrics").text
    assert f'tumorseg_new_labels{{model="{MODEL}"}} 2.0' in before
    waiting.post(f"/train/{MODEL}", json={})
    after = waiting.get("/metrics").text
    assert f'tumorseg_new_labels{{model="{MODEL}"}} 0.0' in after
    assert 'tumorseg_jobs{kind="train",status="SUBMITTED"} 1.0' in after
    assert 'tumorseg_scrape_failed{part="learning"} 0.0' in after


def test_a_job_says_nothing_of_where_the_server_keeps_its_files(waiting: TestClient) -> None:
    """A traceback names files; who looks at a log is told neither the studies' nor Python's folders."""
    place = waiting.app.state.workplace  # type: ignore[attr-defined]
    save(waiting, "p0")
    save(waiting, "p1")
    task = waiting.post(f"/train/{MODEL}", json=SLICER).json()
    try:
        json.loads((Path(place.config.studies) / "none.json").read_text())
    except OSError:
        place.learning.jobs.runner.store.say(task["id"], traceback.format_exc())
    told = json.dumps([waiting.get(path).json() for path in ("/train/", f"/learning/jobs/{task['id']}/log")])
    assert "Traceback" in told
    assert "none.json" in told
    for folder in (place.config.studies, Path(json.__file__).parents[1], Path(tiny.__file__).parents[1] / "lib"):
        assert f"{folder}/" not in told
