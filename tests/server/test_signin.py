"""Signing in in a browser: page, cookie, where it leads, and out again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.dicom.phantoms import GRIDS, sample, write_nifti
from tests.serving import config_for, token_of
from tumorseg.access.types import Role
from tumorseg.server.app import create_app
from tumorseg.server.signin import local

PASSWORD = "correct horse battery"
PAGE = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    write_nifti(tmp_path / "studies" / "case1.nii.gz", GRIDS["axial"], sample(GRIDS["axial"]))
    config = config_for(tmp_path / "studies", tmp_path)
    token_of(config.state, "ann", Role.ANNOTATOR, PASSWORD)
    with TestClient(create_app(config), follow_redirects=False) as client:
        yield client


def enter(client: TestClient, next: str = "/", password: str = PASSWORD) -> str:
    answer = client.post("/signin", data={"username": "ann", "password": password, "next": next})
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


@pytest.mark.parametrize("path", ["/", "/ohif/", "/ohif/viewer?StudyInstanceUIDs=1.2.3", "/docs", "/datastore/"])
def test_a_person_is_sent_to_sign_in_and_back(client: TestClient, path: str) -> None:
    answer = client.get(path, headers=PAGE)
    assert answer.status_code == 303
    there = client.get(answer.headers["location"], headers=PAGE)
    assert there.status_code == 200
    wanted = re.search(r'name="next" value="([^"]*)"', there.text)
    assert wanted is not None
    assert enter(client, wanted[1]) == path
    assert client.get(path, headers=PAGE).status_code == 200
    assert client.get(answer.headers["location"], headers=PAGE).headers["location"] == path  # already signed in


def test_a_program_is_not_sent_anywhere(client: TestClient) -> None:
    assert client.get("/ohif/").status_code == 401
    assert client.get("/", headers={"Accept": "application/json"}).status_code == 401
    assert client.post("/train/", headers=PAGE).status_code == 401
    assert client.get("/info/", headers={**PAGE, "Authorization": "Bearer x"}).status_code == 401


def test_the_cookie_is_out_of_reach(client: TestClient) -> None:
    plain = client.post("/signin", data={"username": "ann", "password": PASSWORD}).headers["set-cookie"]
    assert plain.startswith("tumorseg=tsgs_")
    for part in ("HttpOnly", "SameSite=strict", "Path=/", "Max-Age=43200"):
        assert part in plain
    assert "Secure" not in plain
    client.base_url = "https://testserver:8443"  # type: ignore[assignment]
    secure = client.post("/signin", data={"username": "ann", "password": PASSWORD}).headers["set-cookie"]
    assert secure.startswith("__Host-tumorseg-8443=tsgs_")
    assert "Secure" in secure
    assert "Domain" not in plain + secure


def test_signing_out_ends_it_also_for_a_copy_of_the_cookie(client: TestClient) -> None:
    enter(client)
    copied = dict(client.cookies)
    assert "Signed in as <b>ann</b> (annotator)" in client.get("/", headers=PAGE).text
    answer = client.post("/signout")
    assert answer.headers["location"] == "/signin"
    assert not client.cookies
    client.cookies.update(copied)
    assert client.get("/info/").status_code == 401


def test_a_wrong_password_is_said_on_the_page_and_many_are_slowed_down(client: TestClient) -> None:
    form = {"username": "ann", "password": "<b>wrong</b>", "next": '/"><script>alert(1)</script>'}
    for _ in range(5):
        answer = client.post("/signin", data=form)
        assert answer.status_code == 401
    assert "user name or password is wrong" in answer.text
    assert "set-cookie" not in answer.headers
    assert "<script" not in answer.text
    assert "<b>wrong" not in answer.text
    answer = client.post("/signin", data=form)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "/\nLocation: https://evil.example",
        "///evil.example",
        "evil",
        "",
        "http:///x",
        "//[",
    ],
)
def test_no_link_to_the_sign_in_leads_elsewhere(client: TestClient, target: str) -> None:
    assert local(target) == "/"
    assert enter(client, target) == "/"


def test_pages_are_ours_alone(client: TestClient) -> None:
    """No script between the lines, nothing from elsewhere, in nobody's frame."""
    page = client.get("/signin", headers=PAGE)
    assert "<script" not in page.text
    assert "http" not in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self'" in policy


def test_without_users_the_page_leads_on(tmp_path: Path) -> None:
    write_nifti(tmp_path / "studies" / "case1.nii.gz", GRIDS["axial"], sample(GRIDS["axial"]))
    with TestClient(create_app(config_for(tmp_path / "studies", tmp_path)), follow_redirects=False) as client:
        assert client.get("/signin").headers["location"] == "/"
        assert enter(client) == "/"
        assert client.post("/signout").headers["location"] == "/"
        assert "Sign out" not in client.get("/", headers=PAGE).text
