"""Told to stop, a server finishes what runs and waits, takes nothing new, and then goes."""

from __future__ import annotations

import http.client
import json
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from subprocess import Popen
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from tests.dicom.phantoms import GRIDS, sample, write_nifti
from tests.serving import launched

NAMES = ("axial", "sagittal", "oblique")


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    for name in NAMES:
        write_nifti(tmp_path / "studies" / f"{name}.nii.gz", GRIDS[name], sample(GRIDS[name]))
    return tmp_path / "studies"


def ask(address: str, image: str) -> tuple[int, bytes, Any]:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    query = urlencode({"image": image, "output": "image"})
    connection.request("POST", f"/infer/steps?{query}", b"", {"Content-Type": "application/x-www-form-urlencoded"})
    response = connection.getresponse()
    return response.status, response.read(), response.headers


def refused(address: str) -> Iterator[tuple[int, Any]]:
    """Ask for something new until the server is gone."""
    while True:
        try:
            status, body, headers = ask(address, "axial")
        except OSError:
            return
        if status != 200:
            yield status, (json.loads(body), headers)
        time.sleep(0.1)


def stopped(address: str, process: Popen[str], pool: ThreadPoolExecutor) -> list[Future[tuple[int, bytes, Any]]]:
    """Have three inferences under way, then tell the server to stop."""
    assert ask(address, "axial")[0] == 200
    asked = [pool.submit(ask, address, name) for name in NAMES]
    time.sleep(1.0)
    process.send_signal(signal.SIGTERM)
    return asked


def test_what_runs_and_waits_is_answered_and_nothing_new_is_taken(studies: Path, tmp_path: Path) -> None:
    given = {"models": "steps", "prewarm": "no"}
    with launched(studies, tmp_path, **given) as (address, process), ThreadPoolExecutor(4) as pool:
        asked = stopped(address, process, pool)
        time.sleep(0.3)
        turned_away = list(refused(address))
        answers = [one.result() for one in asked]
        assert [status for status, _, _ in answers] == [200, 200, 200]
        assert all(body.startswith(b"NRRD") for _, body, _ in answers)
        assert turned_away, "it listens while it finishes"
        for status, (said, headers) in turned_away:
            assert status == 503
            assert "stopping" in said["detail"]
            assert headers["Retry-After"]
        assert process.wait(30) in (0, -signal.SIGTERM)


def test_what_takes_too_long_is_given_up_and_told_so(studies: Path, tmp_path: Path) -> None:
    given = {"models": "steps", "prewarm": "no", "shutdown_seconds": 1}
    with launched(studies, tmp_path, **given) as (address, process), ThreadPoolExecutor(4) as pool:
        asked = stopped(address, process, pool)
        answers = [one.result() for one in asked]
        assert 503 in {status for status, _, _ in answers}
        assert {status for status, _, _ in answers} <= {200, 503}
        assert process.wait(20) in (0, -signal.SIGTERM)
