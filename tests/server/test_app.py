"""The addresses that viewers call, on the real application over a folder of files."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.dicom.phantoms import GRIDS, sample, write_nifti
from tests.serving import ask_slicer, config_for, in_process
from tumorseg.registry import DEFAULT_STRATEGY, STRATEGIES


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    """A folder of two phantoms."""
    for name in ("axial", "sagittal"):
        write_nifti(tmp_path / "studies" / f"{name}.nii.gz", GRIDS[name], sample(GRIDS[name]))
    return tmp_path / "studies"


@pytest.fixture
def client(studies: Path, tmp_path: Path) -> Iterator[TestClient]:
    with in_process(config_for(studies, tmp_path, models="threshold,slow")) as client:
        yield client


def test_info_says_what_the_selectors_need(client: TestClient) -> None:
    said = client.get("/info/").json()
    assert said["labels"] == ["tumor"]
    assert list(said["models"]) == ["threshold", "slow"]
    assert said["models"]["threshold"]["type"] == "segmentation"
    assert said["models"]["threshold"]["config"] == {}
    assert said["models"]["threshold"]["labels"] == {"tumor": 1}
    assert said["models"]["threshold"]["dimension"] == 3
    assert said["datastore"]["total"] == 2
    assert said["datastore"]["completed"] == 0
    # Slicer chooses the first one; OHIF asks for "random" by name. No detector is served, so none is asked.
    assert next(iter(said["strategies"])) == DEFAULT_STRATEGY
    assert {"random", "first"} | (set(STRATEGIES) - {"detection_score", "localisation"}) == set(said["strategies"])
    assert said["train_stats"] == said["trainers"] == {}


def test_info_answers_while_an_inference_runs(client: TestClient) -> None:
    client.get("/info/")
    worker = threading.Thread(target=ask_slicer, args=(client, "axial", "slow"))
    worker.start()
    time.sleep(0.3)
    begin = time.perf_counter()
    assert client.get("/info/").status_code == 200
    waited = time.perf_counter() - begin
    still_running = worker.is_alive()
    worker.join()
    assert still_running
    assert waited < 1.0


def test_two_clients_of_one_model_take_turns(client: TestClient) -> None:
    workers = [threading.Thread(target=ask_slicer, args=(client, name, "slow")) for name in ("axial", "sagittal")]
    begin = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert time.perf_counter() - begin > 3.9


def test_a_second_look_does_not_read_again_unless_the_file_changed(
    client: TestClient, studies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tumorseg.io

    reads, read = [], tumorseg.io.read_study
    monkeypatch.setattr(tumorseg.io, "read_study", lambda *args, **kw: reads.append(args) or read(*args, **kw))
    first, second = ask_slicer(client, "axial"), ask_slicer(client, "axial")
    assert len(reads) == 1
    assert first[2] == second[2]
    write_nifti(studies / "axial.nii.gz", GRIDS["axial"], sample(GRIDS["axial"]) * 0)
    params, _, changed = ask_slicer(client, "axial")
    assert len(reads) == 2
    assert changed != first[2]
    assert params["centroids"] == {}


def test_the_forms_of_an_answer(client: TestClient) -> None:
    params, name, data = ask_slicer(client, "axial")
    assert name == "axial.nrrd"
    assert data.startswith(b"NRRD")
    assert {"pre", "infer", "write", "total"} <= set(params["latencies"])
    assert params["model"] == "threshold"
    assert len(params["version"]) == 12
    assert params["notes"]
    said = client.post("/infer/threshold", params={"image": "axial", "output": "json"}).json()
    assert said["centroids"] == params["centroids"]
    assert said["label_names"] == {"tumor": 1}
    image = client.post("/infer/threshold", params={"image": "axial", "output": "image"})
    assert image.content == data
    assert "axial.nrrd" in image.headers["content-disposition"]


def test_idle_training_and_unknown_addresses(client: TestClient) -> None:
    assert client.get("/train/", params={"check_if_running": "true"}).status_code == 404
    assert client.post("/train/", json={}).json() == {}
    assert client.post("/train/threshold", json={}).status_code == 404
    for method, path in (("post", "/reload"), ("delete", "/model/threshold"), ("delete", "/datastore/image?id=axial")):
        assert getattr(client, method)(path).status_code in (404, 405)


def test_next_sample_until_all_are_labelled(client: TestClient, tmp_path: Path) -> None:
    for expected in ("axial", "sagittal"):
        sample_ = client.post("/activelearning/first", json={}).json()
        assert sample_["id"] == expected
        assert sample_["name"] == f"{expected}.nii.gz"
        assert "path" not in sample_
        state = {"image": expected, "check_sum": sample_["checksum"]}
        assert client.head("/datastore/image", params=state).status_code == 200
        assert client.head("/datastore/image", params={**state, "check_sum": "SHA256:0"}).status_code == 404
        label = ("x.nii.gz", client.get("/datastore/image", params={"image": expected}).content)
        answer = client.put("/datastore/label", params={"image": expected}, files={"label": label})
        assert {"image": expected, "label": expected}.items() <= answer.json().items()
    assert client.post("/activelearning/random", json={}).json() == {}
    assert client.get("/datastore/").json()["completed"] == 2
    assert client.post("/activelearning/wisest", json={}).status_code == 404


def test_random_never_runs_dry(client: TestClient) -> None:
    assert {client.post("/activelearning/random").json()["id"] for _ in range(40)} == {"axial", "sagittal"}


def test_pages_come_from_this_computer(client: TestClient) -> None:
    landing, docs = client.get("/"), client.get("/docs")
    assert "2 image files" in landing.text
    assert "http://testserver" in landing.text
    assert "/infer/{model}" in docs.text
    assert "cdn" not in (landing.text + docs.text).lower()
    assert "<script" in client.get("/ohif/").text
    assert client.get("/ohif/viewer/dicomweb").text == client.get("/ohif/").text
    assert client.get("/ohif/app-config.js").text.startswith("window.config")
    assert "root:" not in client.get("/ohif/..%2f..%2f..%2f..%2f..%2f..%2f..%2fetc/passwd").text


def test_other_origins_get_no_permission(client: TestClient) -> None:
    answer = client.get("/info/", headers={"Origin": "http://elsewhere.example"})
    assert not any(name.lower().startswith("access-control") for name in answer.headers)


def test_an_unexpected_error_says_nothing_of_the_server(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: object, **kw: object) -> None:
        raise RuntimeError("/secret/path")

    monkeypatch.setattr("tests.support.ThresholdModel.predict", fail)
    with caplog.at_level(logging.ERROR):
        answer = client.post("/infer/threshold", params={"image": "axial"})
    number = json.loads(answer.text)["detail"].split()[2].rstrip(":")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert number in caplog.text
    assert client.get("/info/").status_code == 200
