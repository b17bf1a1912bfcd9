"""The server's log: one line a request, and never a patient, a token or a password, at no level."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.dicom.phantoms import GRIDS, sample, write_dicom_series, write_nifti
from tests.serving import EXTRA_MODELS, ROOT, config_for, token_of
from tumorseg.access.types import Role
from tumorseg.errors import InputError
from tumorseg.server import logs, request_id
from tumorseg.server.logs import HideNames, JsonFormatter, TextFormatter, explained

PASSWORD = "correct horse battery staple"
NAME, PATIENT_ID, BIRTH = "MUSTERFRAU^ERIKA", "PID-4711-XYZ", "19650312"


@contextmanager
def server(studies: Path, scratch: Path, log: Path, **conf: Any) -> Iterator[str]:
    """Run a server in a process of its own, as an operator does, with its log in a file."""
    given = {"models": "threshold", "extra_models": EXTRA_MODELS, "cache": scratch / "cache", "port": 0, **conf}
    given |= {"state": scratch / "state", "labels": scratch / "labels"}
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tumorseg.server.run", str(studies)]
    command += [f"{key}={value}" for key, value in given.items()]
    with (
        log.open("w") as errors,
        subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        try:
            assert process.stdout is not None
            yield next(line.split()[-1] for line in process.stdout if "3D Slicer" in line)
        finally:
            process.terminate()
            process.wait(60)


def ask(url: str, token: str = "", data: bytes | None = None, method: str | None = None, **headers: str) -> int:
    """Send one request; whatever the server answers is fine."""
    said = {"Authorization": f"Bearer {token}", **headers} if token else headers
    request = urllib.request.Request(url, data, said, method=method)
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_patient_token_or_password_reaches_the_log_at_debug(form: str, tmp_path: Path) -> None:
    patient = {"PatientName": NAME, "PatientID": PATIENT_ID, "PatientBirthDate": BIRTH}
    folder = tmp_path / "studies" / "MUSTERFRAU_ERIKA"
    write_dicom_series(folder, GRIDS["axial"], sample(GRIDS["axial"]), SeriesDescription="FLAIR", **patient)
    good = next(folder.glob("*.dcm")).read_bytes()
    (folder / "ERIKA_cut.dcm").write_bytes(good[:400])
    (folder / "ERIKA_again.dcm").write_bytes(good)
    (folder / "ERIKA_birth.dcm").write_bytes(good.replace(BIRTH.encode(), b"1965XX12"))
    token = token_of(tmp_path / "state", "root", Role.ADMIN, PASSWORD)
    log = tmp_path / "server.log"
    with server(tmp_path / "studies", tmp_path, log, log_level="debug", log_format=form) as address:
        form_of = {"username": "root", "password": PASSWORD}
        assert ask(f"{address}/auth/token", data=urllib.parse.urlencode(form_of).encode()) == 200
        wrong = {"username": "root", "password": "not-the-password-either"}
        assert ask(f"{address}/signin", data=urllib.parse.urlencode(wrong).encode()) in (401, 403)
        assert ask(f"{address}/info/", token) == 200
        assert ask(f"{address}/info/", f"{token}x") == 401
        quoted = urllib.parse.quote(NAME)
        assert ask(f"{address}/proxy/dicom/qido/studies?PatientName={quoted}&PatientID={PATIENT_ID}", token) == 200
        assert ask(f"{address}/datastore/image?image={quoted}", token) == 404
        assert ask(f"{address}/datastore/label?label={quoted}&tag=final", token) == 404
        assert ask(f"{address}/{quoted}/{PATIENT_ID}", token) == 404
        assert ask(f"{address}/datastore/?output=all", token, Cookie=f"x={PATIENT_ID}") == 200
        assert ask(f"{address}/readyz", token) == 200
        for file in folder.glob("*.dcm"):
            file.unlink()
        assert ask(f"{address}/proxy/dicom/qido/series", token) in (200, 404)
    said = log.read_text()
    assert len(said.splitlines()) > 8
    for secret in (*NAME.split("^"), PATIENT_ID, "1965", PASSWORD, token, "not-the-password", "Bearer"):
        assert secret not in said, said


def test_names_of_files_do_not_reach_the_log(tmp_path: Path) -> None:
    write_nifti(tmp_path / "studies" / "MUSTERFRAU_ERIKA.nii.gz", GRIDS["axial"], sample(GRIDS["axial"]))
    log = tmp_path / "server.log"
    with server(tmp_path / "studies", tmp_path, log, log_level="debug") as address:
        for path in ("datastore/image?image=", "datastore/image/info?image=", "infer/threshold?image="):
            ask(f"{address}/{path}MUSTERFRAU_ERIKA", method="POST" if path.startswith("infer") else "GET")
        (tmp_path / "studies" / "MUSTERFRAU_ERIKA.nii.gz").write_bytes(b"damaged")
        ask(f"{address}/infer/threshold?image=MUSTERFRAU_ERIKA", method="POST")
        (tmp_path / "studies" / "MUSTERFRAU_ERIKA.nii.gz").unlink()
        ask(f"{address}/datastore/image?image=MUSTERFRAU_ERIKA")
        time.sleep(0.1)
    said = log.read_text()
    assert "image=id:" in said
    assert "ERIKA" not in said, said


def test_one_json_object_a_line_with_what_happened(tmp_path: Path) -> None:
    write_nifti(tmp_path / "studies" / "case1.nii.gz", GRIDS["axial"], sample(GRIDS["axial"]))
    log = tmp_path / "server.log"
    with server(tmp_path / "studies", tmp_path, log, log_format="json") as address:
        ask(f"{address}/datastore/image?image=case1", **{"X-Request-ID": "proxy-request-0001"})
        ask(f"{address}/datastore/image?image=nobody")
        ask(f"{address}/healthz")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    requests = [line for line in lines if line["logger"] == "tumorseg.request"]
    # A line is written once the answer is out, so the next request may be quicker.
    requests.sort(key=lambda line: line["status"])
    assert [(line["method"], line["route"], line["status"], line["who"]) for line in requests] == [
        ("GET", "/datastore/image", 200, "local"),
        ("GET", "/datastore/image", 404, "local"),
    ]
    assert requests[0]["request_id"] == "proxy-request-0001"
    assert requests[0]["bytes"] > 1000
    assert requests[0]["ms"] > 0
    assert requests[0]["image"].startswith("id:")


@pytest.fixture
def captured() -> Iterator[list[str]]:
    """The lines that a formatter writes, beside what the tests themselves capture."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    handler = Keep()
    handler.setFormatter(TextFormatter())
    logger = logging.getLogger("tumorseg.test")
    logger.addHandler(handler)
    yield lines
    logger.removeHandler(handler)


def test_nobody_writes_lines_of_their_own(captured: list[str]) -> None:
    token = request_id.current.set("the-request-id")
    logging.getLogger("tumorseg.test").warning("said %s", "one\n2026-11-21 ERROR two\x1b[31m")
    request_id.current.reset(token)
    (line,) = captured
    assert "\n" not in line
    assert "\x1b" not in line
    assert "[the-request-id]" in line
    record = logging.LogRecord("x", logging.INFO, "", 0, "one\ntwo", (), None)
    assert json.loads(JsonFormatter().format(record))["message"] == "one\ntwo"


def raised(error: Exception, cause: Exception | None = None) -> BaseException:
    try:
        if cause is None:
            raise error
        try:
            raise cause
        except Exception as inner:
            raise error from inner
    except Exception as caught:
        return caught


def test_an_unforeseen_error_shows_its_code_and_not_the_data() -> None:
    said = explained(raised(ValueError(f"cannot use {NAME}"), KeyError(PATIENT_ID)))
    assert "in raised" in said
    assert "builtins.ValueError" in said
    assert "caused by" in said
    assert "builtins.KeyError" in said
    assert NAME not in said
    assert PATIENT_ID not in said


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (TypeError("f() got 2 arguments"), "f() got 2 arguments"),
        (MemoryError("of 3 GB"), "of 3 GB"),
        (FileNotFoundError(2, "No such file or directory", f"/studies/{NAME}.dcm"), "No such file or directory"),
        (InputError(f"no image is called {NAME}"), "left out"),
        (ValueError(NAME), "left out"),
    ],
)
def test_messages_of_technical_errors_are_kept(error: Exception, shown: str) -> None:
    said = explained(raised(error))
    assert shown in said.splitlines()[-1]
    assert NAME not in said


def test_names_are_taken_out_of_what_others_say() -> None:
    names = HideNames("/data/studies", lambda: ["ERIKA", "ERIKA_2", "x"], lambda ident: f"<{len(ident)}>")

    def said(text: str, *values: object) -> str:
        record = logging.LogRecord("x", logging.INFO, "", 0, text, values, None)
        assert names.filter(record)
        return record.getMessage()

    assert said("the label of %s is kept", "ERIKA_2") == "the label of <7> is kept"
    assert said("ERIKA and %r", "ERIKA") == "<5> and '<5>'"
    assert said("x-rays of 100 %s") == "<1>-rays of 100 %s"
    assert said("cannot read '/data/studies/ERIKA MUSTER/1.dcm'") == "cannot read '(a file of the studies)'"
    assert said("nothing of that kind: MERIKAN") == "nothing of that kind: MERIKAN"


def test_what_libraries_say_below_an_error_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "studies").mkdir()
    before = logging.getLogger().handlers[:], logging.getLogger().level
    try:
        logs.configure(config_for("http://pacs.example/dicom-web", tmp_path, log_level="debug"))
        assert logging.getLogger("tumorseg.server.x").isEnabledFor(logging.DEBUG)
        for name in ("pydicom", "urllib3.connectionpool", "py.warnings", "httpx", "python_multipart"):
            assert not logging.getLogger(name).isEnabledFor(logging.INFO)
        assert not logging.getLogger("pydicom.valuerep").isEnabledFor(logging.ERROR)
    finally:
        logging.captureWarnings(False)
        logging.getLogger().handlers[:], level = before[0], before[1]
        logging.getLogger().setLevel(level)
        for name in ("tumorseg", "uvicorn", *logs._HUSHED):
            logging.getLogger(name).setLevel(logging.NOTSET)
