"""A page elsewhere can neither read this server nor change anything on it, whatever its name resolves to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.dicom.phantoms import GRIDS, sample, write_nifti
from tests.serving import config_for, in_process, token_of


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    write_nifti(tmp_path / "studies" / "case1.nii.gz", GRIDS["axial"], sample(GRIDS["axial"]))
    with in_process(
        config_for(tmp_path / "studies", tmp_path, allowed_hosts="testserver, Mr-Lab.hospital.example")
    ) as it:
        yield it


@pytest.mark.parametrize(
    "host",
    [
        "localhost:8000",
        "LOCALHOST",
        "localhost.",
        "127.0.0.1:8000",
        "127.0.0.2",
        "[::1]:8000",
        "10.1.2.3:8000",
        "mr-lab.hospital.example",
        "testserver",
    ],
)
def test_names_and_addresses_of_this_server(client: TestClient, host: str) -> None:
    assert client.get("/info/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "evil.example:8000",
        "127.0.0.1.evil.example",
        "testserver@evil.example",
        "evil.example#testserver",
        "testserver/evil",
        "[::1",
        "testserver:port",
        "",
    ],
)
def test_dns_rebinding_is_closed(client: TestClient, host: str) -> None:
    answer = client.get("/info/", headers={"Host": host})
    assert answer.status_code == 400
    assert set(answer.json()) == {"detail"}
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://testserver"},
        {"Origin": "http://testserver:8001"},
        {"Origin": "http://testserver.evil.example"},
        {"Origin": "http://testserver:port"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://evil.example"},
    ],
)
def test_other_pages_change_nothing(client: TestClient, headers: dict[str, str], tmp_path: Path) -> None:
    label = {"label": ("x.nii.gz", (tmp_path / "studies" / "case1.nii.gz").read_bytes())}
    answers = [
        client.put("/datastore/label", params={"image": "case1"}, files=label, headers=headers),
        client.post("/infer/threshold", params={"image": "case1"}, headers=headers),
        client.post("/signin", data={"username": "a", "password": "b"}, headers=headers),
        client.delete("/datastore/label", params={"id": "case1", "tag": "final"}, headers=headers),
        client.request("PROPFIND", "/info/", headers=headers),
    ]
    assert {answer.status_code for answer in answers} == {403}
    assert client.get("/datastore/").json()["completed"] == 0


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://testserver"},
        {"Origin": "http://testserver:80"},
        {"Origin": "http://testserver", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_own_pages_and_programs_do(client: TestClient, headers: dict[str, str]) -> None:
    assert client.post("/train/", json={}, headers=headers).status_code == 200


def test_other_pages_may_link_here_but_not_read_or_frame(client: TestClient) -> None:
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert client.get("/", headers=link).status_code == 200
    for mode, dest in (("no-cors", "image"), ("cors", "empty"), ("navigate", "iframe"), ("no-cors", "script")):
        asked = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": dest}
        assert client.get("/datastore/image?image=case1", headers=asked).status_code == 403


def test_no_answer_permits_another_origin(client: TestClient) -> None:
    preflight = {"Origin": "http://evil.example", "Access-Control-Request-Method": "PUT"}
    for answer in (
        client.options("/datastore/label", headers=preflight),
        client.get("/info/", headers={"Origin": "http://evil.example"}),
        client.get("/ohif/", headers={"Origin": "http://evil.example"}),
    ):
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]
        assert "access-control" not in answer.headers.get("vary", "").lower()


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Forwarded-Host", "Forwarded", "Via", "X-Real-IP"])
def test_a_proxy_before_a_server_without_sign_in_is_refused(client: TestClient, header: str) -> None:
    answer = client.get("/info/", headers={header: "10.0.0.1"})
    assert answer.status_code == 403
    assert "--auth required" in answer.json()["detail"]


def test_a_proxy_before_a_server_with_sign_in_is_taken(tmp_path: Path) -> None:
    write_nifti(tmp_path / "studies" / "case1.nii.gz", GRIDS["axial"], sample(GRIDS["axial"]))
    config = config_for(tmp_path / "studies", tmp_path)
    token = token_of(config.state)
    with in_process(config) as client:
        asked = {"X-Forwarded-For": "10.0.0.1", "Authorization": f"Bearer {token}"}
        assert client.get("/info/", headers=asked).status_code == 200
