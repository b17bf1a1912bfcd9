"""Never blocked: what a burst, a slow request and a client that hangs up do to everybody else, on a real port."""

from __future__ import annotations

import http.client
import json
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from fastapi import FastAPI

import tests.support
from tests.adapters.inference.stand_in import PATIENCE_S, until
from tests.dicom.phantoms import GRIDS, sample, write_nifti
from tests.serving import config_for, here
from tumorseg.server.rules import rule

NAMES = ("axial", "sagittal", "oblique")


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    for name in NAMES:
        write_nifti(tmp_path / "studies" / f"{name}.nii.gz", GRIDS[name], sample(GRIDS[name]))
    return tmp_path / "studies"


@pytest.fixture
def server(studies: Path, tmp_path: Path) -> Iterator[tuple[FastAPI, str]]:
    with here(config_for(studies, tmp_path, models="threshold,steps", max_waiting=2)) as running:
        yield running


class Asking:
    """One request that is sent, and whose answer is read when it is wanted."""

    def __init__(self, address: str, model: str = "threshold", body: bytes = b"", kind: str = "", **query: str) -> None:
        self.connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
        headers = {"Content-Type": kind or "application/x-www-form-urlencoded"}
        self.connection.request("POST", f"/infer/{model}?{urlencode(query)}", body, headers)

    def answer(self) -> tuple[int, bytes, Any]:
        response = self.connection.getresponse()
        data = response.read()
        self.connection.close()
        return response.status, data, response.headers

    def hang_up(self) -> None:
        self.connection.close()


def form(content: bytes, name: str = "x.nii.gz") -> tuple[bytes, str]:
    """A form with one file."""
    head = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    return head.encode() + content + b"\r\n--b--\r\n", "multipart/form-data; boundary=b"


def stats(app: FastAPI) -> Any:
    return app.state.workplace.engine.queue.stats()


def get(address: str, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    connection.request("GET", path)
    response = connection.getresponse()
    data = response.read()
    connection.close()
    return response.status, data


def test_a_client_that_hangs_up_gives_up_its_work(server: tuple[FastAPI, str]) -> None:
    app, address = server
    running = Asking(address, "steps", image="axial")
    until(lambda: stats(app).running == 1)
    waiting = Asking(address, "steps", image="sagittal")
    until(lambda: stats(app).waiting == 1)
    waiting.hang_up()
    until(lambda: stats(app).cancelled == 1, "what waits leaves the queue")
    assert stats(app).running == 1
    running.hang_up()
    until(lambda: stats(app).cancelled == 2, "what runs stops at a slice")
    assert stats(app).done == 0
    assert Asking(address, image="axial").answer()[0] == 200


def test_a_full_queue_says_when_to_come_back_and_everything_else_answers(server: tuple[FastAPI, str]) -> None:
    app, address = server
    first = Asking(address, "steps", image="axial")
    until(lambda: stats(app).running == 1)
    waiting = [Asking(address, "steps", image=name) for name in ("sagittal", "oblique")]
    until(lambda: stats(app).waiting == 2)
    status, body, headers = Asking(address, image="axial").answer()
    assert status == 503
    assert 1 <= int(headers["Retry-After"]) <= 60
    assert "try again" in json.loads(body)["detail"]
    for path in ("/info/", "/datastore/", "/datastore/image?image=axial"):
        assert get(address, path)[0] == 200
    assert not stats(app).done, "all of this while the first one still ran"
    assert [asking.answer()[0] for asking in (first, *waiting)] == [200, 200, 200]


def test_waiting_inferences_and_info_need_no_thread_of_the_pool(server: tuple[FastAPI, str]) -> None:
    app, address = server
    release, held = threading.Event(), []

    @app.get("/hold")
    @rule(None)
    def hold() -> str:
        held.append(1)
        release.wait(PATIENCE_S)
        return "held"

    with ThreadPoolExecutor(60) as pool:
        holding = [pool.submit(get, address, "/hold") for _ in range(60)]
        until(lambda: len(held) == 40, "the pool has 40 threads")
        assert get(address, "/info/")[0] == 200
        status, body, _ = Asking(address, image="axial", output="image").answer()
        assert status == 200
        assert body.startswith(b"NRRD")
        release.set()
        assert {one.result()[0] for one in holding} == {200}


def test_the_same_request_from_many_is_computed_once(server: tuple[FastAPI, str]) -> None:
    app, address = server
    running = Asking(address, "steps", image="axial")
    until(lambda: stats(app).running == 1)
    before = stats(app).coalesced
    many = []
    for ending in (".nrrd", ".nii.gz", ".nrrd", ".seg.nrrd"):
        params = urlencode({"params": json.dumps({"result_extension": ending})}).encode()
        many.append(Asking(address, "steps", params, image="sagittal", output="image"))
    until(lambda: stats(app).coalesced == before + 3)
    running.answer()
    (_, nrrd, _), (_, nifti, _), (_, again, _), (_, seg, _) = [asking.answer() for asking in many]
    assert nrrd == again
    assert nrrd.startswith(b"NRRD")
    assert nifti.startswith(b"\x1f\x8b")
    assert b"Segment0_Name" in seg
    assert stats(app).done == 2


def test_the_same_upload_is_computed_once_and_outlives_who_sent_it_first(
    server: tuple[FastAPI, str], studies: Path, tmp_path: Path
) -> None:
    app, address = server
    content, kind = form((studies / "oblique.nii.gz").read_bytes())
    blocking = Asking(address, "steps", image="axial")
    until(lambda: stats(app).running == 1)
    first = Asking(address, "steps", content, kind)
    until(lambda: stats(app).waiting == 1)
    second = Asking(address, "steps", content, kind, output="image")
    until(lambda: stats(app).coalesced == 1)
    first.hang_up()
    blocking.answer()
    status, data, _ = second.answer()
    assert status == 200
    assert data.startswith(b"NRRD")
    until(lambda: not _left_behind(tmp_path), f"{_left_behind(tmp_path)} outlived the requests")


def test_files_of_a_request_go_when_it_is_given_up(server: tuple[FastAPI, str], studies: Path, tmp_path: Path) -> None:
    app, address = server
    content, kind = form((studies / "axial.nii.gz").read_bytes())
    asking = Asking(address, "steps", content, kind)
    until(lambda: stats(app).running == 1)
    asking.hang_up()
    until(lambda: stats(app).cancelled == 1)
    until(lambda: not _left_behind(tmp_path), f"{_left_behind(tmp_path)} outlived the request")


def _left_behind(scratch: Path) -> list[str]:
    return [path.name for path in (scratch / "cache").rglob("*upload*")]


def test_a_broken_study_is_the_error_of_who_asked(server: tuple[FastAPI, str], studies: Path) -> None:
    app, address = server
    (studies / "broken.nii.gz").write_bytes(b"\x1f\x8bnot really")
    until(lambda: get(address, "/datastore/image?image=broken")[0] == 200)
    together = [Asking(address, "steps", image=name) for name in ("broken", "axial")]
    assert [asking.answer()[0] for asking in together] == [422, 200]
    assert stats(app).failed == 1


def test_hundreds_of_requests_leave_nothing_behind(server: tuple[FastAPI, str]) -> None:
    app, address = server

    def ask(count: int) -> None:
        for n in range(count):
            name = NAMES[n % len(NAMES)]
            assert Asking(address, image=name, output="image").answer()[0] == 200

    ask(60)
    before = _resources()
    ask(300)
    after = _resources()
    assert after["threads"] <= before["threads"] + 2
    assert after["files"] <= before["files"] + 4
    assert after["mb"] - before["mb"] < 30
    queue = app.state.workplace.engine.queue
    assert (queue.stats().waiting, queue.stats().running, queue.stats().done) == (0, 0, 360)


def _resources() -> dict[str, float]:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    files = len(os.listdir("/proc/self/fd"))
    return {"threads": threading.active_count(), "files": files, "mb": pages * os.sysconf("SC_PAGESIZE") / 2**20}


def test_an_error_inside_a_model_does_not_stop_the_worker(
    server: tuple[FastAPI, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, address = server

    def fail(*args: object, **kw: object) -> None:
        raise RuntimeError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr(tests.support.ThresholdModel, "predict", fail)
        assert Asking(address, image="axial").answer()[0] == 500
    assert Asking(address, image="axial").answer()[0] == 200
