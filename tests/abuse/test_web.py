"""What a browser, a proxy or a socket would do with what others wrote."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from fastapi import FastAPI

from tests.abuse.place import AXIAL, MARKUP, Site, dicom_site, file_site, raw, routes_of
from tests.dicom.phantoms import sample, write_nifti
from tests.serving import config_for, in_process, live, token_of
from tumorseg.access.types import Role


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with file_site(tmp_path) as site:
        yield site


def test_no_name_of_others_becomes_markup_in_a_page(tmp_path: Path) -> None:
    """Patients, studies, people and addresses are text wherever a page of ours shows them."""
    with dicom_site(tmp_path) as site:
        pages = 0
        for path in (
            *(path for method, path in routes_of(site.client) if method == "GET"),
            "/",
            "/docs",
            "/ohif/",
            "/review/",
        ):
            for address in {path, path.replace("{", "<script>alert(1)</script>{")}:
                answer = site.client.get(address, params={"search": MARKUP, "image": MARKUP})
                if answer.headers.get("content-type", "").startswith("text/html"):
                    pages += 1
                    assert "<script>alert(1)" not in answer.text, path
                    assert "<img src=x>" not in answer.text, path
        assert pages >= 3
        found = site.client.get("/proxy/dicom/qido/studies")
        assert "alert(1)" in found.text, "the hostile patient is there, or this proves nothing"
        assert found.headers["content-type"].startswith("application/dicom+json")
        assert found.headers["x-content-type-options"] == "nosniff"


def test_every_answer_forbids_to_guess_its_kind_and_to_frame_it(site: Site) -> None:
    for method, path in routes_of(site.client):
        answer = site.client.request(method, path)
        assert answer.headers.get("x-content-type-options") == "nosniff", (method, path)
        assert "content-security-policy" in answer.headers, (method, path)


@pytest.mark.parametrize(
    "name", ["a\r\nX-Evil: 1.nii.gz", 'a";filename="evil.exe', "a\nSet-Cookie: x=1.nrrd", "ä\u2028.nii"]
)
def test_no_name_of_a_file_becomes_a_header(name: str, site: Site) -> None:
    data = (site.root / "studies" / "case.nii.gz").read_bytes()
    opened = site.client.put("/session/", files=[("files", (name, data))])
    if opened.status_code == 200:
        session = opened.json()["session_id"]
        answer = site.client.get(f"/session/{session}", params={"image": True})
        assert answer.status_code == 200
        _is_plain(answer)
    _is_plain(site.client.post("/infer/threshold", params={"image": name, "session_id": ""}))
    _is_plain(site.client.post("/infer/threshold", files={"file": (name, data)}, params={"output": "image"}))
    _is_plain(site.client.get("/datastore/image", params={"image": name}))


def _is_plain(answer: Any) -> None:
    assert answer.status_code < 500
    assert not {"x-evil", "set-cookie"} & {key.lower() for key in answer.headers}
    assert "evil.exe" not in answer.headers.get("content-disposition", "")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    root = tmp_path_factory.mktemp("web")
    write_nifti(root / "studies" / "case.nii.gz", AXIAL, sample(AXIAL))
    with live(root / "studies", root, prewarm="no") as address:
        yield address


@pytest.mark.parametrize(
    "request_line",
    [
        "GET http://169.254.169.254/latest/meta-data HTTP/1.1",
        "GET //169.254.169.254/ HTTP/1.1",
        "CONNECT 169.254.169.254:80 HTTP/1.1",
        "TRACE / HTTP/1.1",
        "GET /proxy/dicom/http://169.254.169.254/ HTTP/1.1",
        "GET /ohif/..%2f..%2f..%2f..%2f..%2fetc/passwd HTTP/1.1",
        "GET /ohif/../../../../../etc/passwd HTTP/1.1",
    ],
)
def test_no_request_is_carried_elsewhere(request_line: str, address: str) -> None:
    host = address.removeprefix("http://")
    answer = raw(address, f"{request_line}\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    assert b"root:x:0" not in answer
    assert b"ami-id" not in answer
    assert answer[9:12] in (b"200", b"400", b"403", b"404", b"405"), answer[:100]
    if answer[9:12] == b"200":
        assert b"<html" in answer.lower()  # a page of ours; nothing was fetched
    if request_line.startswith("TRACE"):
        assert answer[9:12] == b"405"


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n"
        b"0\r\n\r\nGET /evil HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: xchunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : 127.0.0.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x00" * 1000,
        b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
    ],
)  # fmt: skip
def test_what_is_no_plain_request_gets_one_plain_answer(request_: bytes, address: str) -> None:
    answer = raw(address, request_)
    assert answer.count(b"HTTP/1.1 ") <= 1
    assert answer[9:10] in (b"4", b"") or answer.startswith(b"HTTP/1.1 200")
    assert raw(address, b"GET /info/ HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n").startswith(
        b"HTTP/1.1 200"
    )


def test_what_monai_labels_other_addresses_did_is_not_there(site: Site) -> None:
    """Reload, batch inference to a path, logs, whole data sets, the user's own weights deleted."""
    asked = [("GET", "/reload"), ("POST", "/reload"), ("POST", "/batch/infer/threshold"),
             ("GET", "/logs/?lines=100"), ("GET", "/datastore/dataset"), ("DELETE", "/model/threshold"),
             ("POST", "/batch/infer/threshold/save"), ("PUT", "/datastore/updatelabelinfo?label=case&tag=final"),
             ("DELETE", "/datastore/?id=case"), ("DELETE", "/datastore/image?id=case"),
             ("POST", "/infer/wsi/threshold"), ("GET", "/static/../main.py"),
             ("POST", "/wsi/threshold"), ("GET", "/batch/infer/")]  # fmt: skip
    before = site.written()
    for method, path in asked:
        assert site.client.request(method, path).status_code in (403, 404, 405), path
    assert site.written() == before


def test_what_a_request_would_override_stays_as_it_is(site: Site) -> None:
    before = site.written()
    for key in ("image", "model", "device", "result_file", "save_label", "model_file", "session", "label"):
        said = json.dumps({key: str(site.root / "secret.nii.gz")})
        answer = site.client.post("/infer/threshold", params={"image": "case"}, data={"params": said})
        assert answer.status_code == 422, key
    for key in (
        "device",
        "model_filename",
        "result_file",
        "result_path",
        "output_dir",
        "datastore",
        "studies",
        "labels",
    ):
        value = str(site.root / "evil")
        answer = site.client.post(
            "/infer/threshold", params={"image": "case", key: value}, data={"params": "{}", key: value}
        )
        assert answer.status_code == 200, key
        assert not (site.root / "evil").exists()
    assert site.written() == before


def test_a_label_of_an_unknown_image_is_refused(site: Site) -> None:
    data = (site.root / "studies" / "case.nii.gz").read_bytes()
    for image in ("nobody", "case2", "", "case.nii.gz"):
        answer = site.client.put("/datastore/label", params={"image": image}, files={"label": ("a.nii.gz", data)})
        assert answer.status_code in (404, 422)
    assert site.client.get("/datastore/").json()["completed"] == 0


def test_a_gate_in_front_of_every_route_for_whoever_has_no_token(tmp_path: Path) -> None:
    """Without a token, with a wrong one, and with one of a role that is too low; no body is read before that."""
    write_nifti(tmp_path / "studies" / "case.nii.gz", AXIAL, sample(AXIAL))
    config = config_for(tmp_path / "studies", tmp_path)
    viewer = token_of(config.state, "vera", Role.VIEWER)
    open_to_all = {"/healthz", "/readyz", "/auth/", "/auth/token", "/auth/token/valid"}
    with in_process(config) as client:
        routes = routes_of_app(client.app)
        assert len(routes) > 30
        for method, path in routes:
            for token in (None, "wrong", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiIsInJvbGUiOiJhZG1pbiJ9."):
                headers = {"Authorization": f"Bearer {token}"} if token else {}
                answer = client.request(method, path, headers=headers, content=b"{" * 1000)
                assert path in open_to_all or answer.status_code in (401, 403), (method, path, answer.status_code)
        headers = {"Authorization": f"Bearer {viewer}"}
        for method, path in (("PUT", "/datastore/label?image=case"), ("PUT", "/model/threshold"), ("PUT", "/session/")):
            assert client.request(method, path, headers=headers).status_code == 403


def routes_of_app(app: FastAPI) -> list[tuple[str, str]]:
    return [(method.upper(), path) for path, methods in app.openapi()["paths"].items() for method in methods]


def test_no_secret_and_no_patient_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_nifti(tmp_path / "studies" / "case.nii.gz", AXIAL, sample(AXIAL))
    config = config_for(tmp_path / "studies", tmp_path)
    token = token_of(config.state, "ann", Role.ADMIN, "correct horse battery")
    with caplog.at_level(logging.DEBUG), in_process(config) as client:
        client.post("/auth/token", data={"username": "ann", "password": "correct horse battery"})
        for method, path in routes_of_app(client.app):
            filled = path.replace("{image}", "patient-name").replace("{", "").replace("}", "")
            asked = {"image": "patient-name", "token": token, "password": "correct horse battery"}
            client.request(method, filled, params=asked, headers={"Authorization": f"Bearer {token}"})
    ours = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("tumorseg"))
    assert ours
    for word in (token, "correct horse", "patient-name"):
        assert word not in ours
    for path in (tmp_path / "state").rglob("*"):
        if path.is_file():
            assert token.encode() not in path.read_bytes(), path.name
            assert b"correct horse" not in path.read_bytes(), path.name


def test_the_audit_log_names_no_patient(tmp_path: Path) -> None:
    with dicom_site(tmp_path) as site:
        files = sorted((site.root / "studies").glob("*.dcm"))
        series = str(pydicom.dcmread(files[0], stop_before_pixels=True).SeriesInstanceUID)
        assert site.client.get("/datastore/image/info", params={"image": series}).status_code == 200
        site.client.get("/proxy/dicom/qido/studies", params={"PatientName": MARKUP})
    kept = b"".join(path.read_bytes() for path in (tmp_path / "state").rglob("*") if path.is_file())
    assert b"alert(1)" not in kept
    assert b"<b>1" not in kept
