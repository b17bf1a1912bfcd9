"""Signing in over HTTP: MONAI Label's own words, 401 and 403 where they belong, and no secret in any log."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.access.identity_provider import AUDIENCE, IdentityProvider, identity_provider
from tests.dicom.phantoms import GRIDS, sample, write_nifti
from tests.serving import config_for, in_process, token_of
from tumorseg.access.types import Role
from tumorseg.access.users import Users

PASSWORD = "correct horse battery"


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    for name in ("case1", "case2"):
        write_nifti(tmp_path / "studies" / f"{name}.nii.gz", GRIDS["axial"], sample(GRIDS["axial"]))
    return tmp_path / "studies"


@pytest.fixture
def client(studies: Path, tmp_path: Path) -> Iterator[TestClient]:
    """A server whose people sign in: ann, an annotator."""
    config = config_for(studies, tmp_path)
    token_of(config.state, "ann", Role.ANNOTATOR, PASSWORD)
    with in_process(config) as client:
        yield client


@pytest.fixture
def idp() -> Iterator[IdentityProvider]:
    with identity_provider() as provider:
        yield provider


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def signed_in(client: TestClient, name: str = "ann", password: str = PASSWORD) -> str:
    answer = client.post("/auth/token", data={"username": name, "password": password, "grant_type": "password"})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


def records(client: TestClient) -> list[Any]:
    """What the audit log keeps."""
    import sqlite3

    path = client.app.state.audit.folder / "audit.sqlite"  # type: ignore[attr-defined]
    connection = sqlite3.connect(path)
    try:
        return connection.execute("SELECT who, role, action, status, how FROM record ORDER BY seq").fetchall()
    finally:
        connection.close()


def test_without_users_everything_is_as_stock_answers_it(studies: Path, tmp_path: Path) -> None:
    with in_process(config_for(studies, tmp_path)) as client:
        assert client.get("/auth/").json() == {"enabled": False, "client_id": "", "realm": ""}
        assert client.post("/auth/token", data={"username": "a", "password": "b"}).json() == {
            "access_token": None,
            "token_type": None,
        }
        assert client.get("/auth/token/valid").json()["roles"] == ["viewer", "annotator", "reviewer", "admin"]
        assert client.get("/info/", headers=bearer("of another server")).status_code == 200
        assert not list((tmp_path / "state").glob("access*"))


def test_signing_in_as_the_client_does(client: TestClient) -> None:
    assert client.get("/auth/").json()["enabled"] is True
    assert client.get("/auth/token/valid").status_code == 401
    said = client.post("/auth/token", data={"username": "ann", "password": PASSWORD, "grant_type": "password"}).json()
    assert said["token_type"] == "bearer"
    me = client.get("/auth/token/valid", headers=bearer(said["access_token"])).json()
    assert me == {"username": "ann", "email": None, "name": "ann", "roles": ["viewer", "annotator"]}
    assert client.get("/info/", headers=bearer(said["access_token"])).status_code == 200
    signs = [(who, status) for who, _, action, status, _ in records(client) if action == "signin"]
    assert signs == [("ann", 200)]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/info/"),
        ("GET", "/datastore/"),
        ("GET", "/datastore/image?image=case1"),
        ("GET", "/datastore/label?label=case1&tag=final"),
        ("POST", "/infer/threshold?image=case1"),
        ("POST", "/activelearning/first"),
        ("PUT", "/datastore/label?image=case1"),
        ("PUT", "/datastore/image?image=new"),
        ("DELETE", "/datastore/label?id=case1&tag=final"),
        ("PUT", "/session/"),
        ("POST", "/train/"),
        ("GET", "/openapi.json"),
    ],
)
def test_nobody_is_401_and_says_how_to_sign_in(client: TestClient, method: str, path: str) -> None:
    answers = [
        client.request(method, path),
        client.request(method, path, headers=bearer("tsgp_000000000000_" + "A" * 43)),
        client.request(method, path, headers={"Authorization": "Basic YW5uOnBhc3N3b3Jk"}),
        client.request(method, path, headers={"Cookie": "tumorseg=tsgs_" + "A" * 43}),
    ]
    for answer in answers:
        assert answer.status_code == 401, answer.text
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert set(answer.json()) == {"detail"}


def test_a_role_that_does_not_suffice_is_403(client: TestClient) -> None:
    answer = client.delete(
        "/datastore/label", params={"id": "case1", "tag": "final"}, headers=bearer(signed_in(client))
    )
    assert answer.status_code == 403
    assert "reviewer" in answer.json()["detail"]


def test_what_the_command_line_changes_counts_at_once(client: TestClient, tmp_path: Path) -> None:
    token = signed_in(client)
    elsewhere = Users(tmp_path / "state")
    assert client.get("/info/", headers=bearer(token)).status_code == 200
    elsewhere.set_active("ann", False)
    assert client.get("/info/", headers=bearer(token)).status_code == 401
    personal = token_of(tmp_path / "state", "bob", Role.VIEWER)
    assert client.get("/info/", headers=bearer(personal)).status_code == 200
    elsewhere.revoke("bob")
    assert client.get("/info/", headers=bearer(personal)).status_code == 401


def test_unknown_name_and_wrong_password_get_the_same_answer(client: TestClient) -> None:
    answers = [
        client.post("/auth/token", data={"username": name, "password": "wrong wrong wrong"}) for name in ("ann", "eve")
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert answers[0].json() == answers[1].json()
    names = {name.lower() for name in answers[0].headers} - {"x-request-id"}
    assert names == {name.lower() for name in answers[1].headers} - {"x-request-id"}
    # A name that is nobody's may be a password typed in the wrong place.
    signs = [(who, status) for who, _, action, status, _ in records(client) if action == "signin"]
    assert signs == [("ann", 401), ("(unknown)", 401)]


def test_guessing_is_told_when_to_come_back(client: TestClient) -> None:
    for _ in range(5):
        assert client.post("/auth/token", data={"username": "ann", "password": "guess"}).status_code == 401
    answer = client.post("/auth/token", data={"username": "ann", "password": PASSWORD})
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1
    assert set(answer.json()) == {"detail"}


@pytest.mark.parametrize("form", [{}, {"username": "ann"}, {"password": PASSWORD}, {"username": ["a", "b"]}])
def test_half_a_form_is_a_wrong_one(client: TestClient, form: dict[str, Any]) -> None:
    answer = client.post("/auth/token", data=form)
    assert answer.status_code == 401
    assert PASSWORD not in answer.text


def test_slicer_downloads_the_image_it_was_told_to_and_no_other(client: TestClient) -> None:
    """Trap: the module asks for the next image with its token, and downloads it without."""
    image = client.post("/activelearning/first", json={}, headers=bearer(signed_in(client))).json()["id"]
    other = {"case1": "case2", "case2": "case1"}[image]
    assert client.get("/datastore/image", params={"image": other}).status_code == 401
    assert client.get("/datastore/image/info", params={"image": image}).status_code == 401
    assert client.get("/datastore/image", params={"image": image}).status_code == 200
    assert client.get("/datastore/image", params={"image": image}).status_code == 401


def test_a_providers_token_and_its_password_grant(studies: Path, tmp_path: Path, idp: IdentityProvider) -> None:
    config = config_for(studies, tmp_path, oidc_issuer=idp.issuer, oidc_audience=AUDIENCE)
    with in_process(config) as client:
        assert client.get("/auth/").json() == {"enabled": True, "client_id": AUDIENCE, "realm": idp.issuer}
        assert client.get("/info/").status_code == 401
        token = signed_in(client, "ann", idp.people["ann"])
        assert token.count(".") == 2
        assert client.get("/info/", headers=bearer(token)).status_code == 200
        assert client.get("/info/", headers=bearer(idp.token(aud="other"))).status_code == 401
        no_role = client.get("/info/", headers=bearer(idp.token(name="bob")))
        assert no_role.status_code == 403
        assert "no role" in no_role.json()["detail"]
        idp.broken = True
        idp.add_key("later", "RS256")
        client.app.state.access.verifier.provider._asked = float("-inf")  # type: ignore[attr-defined]
        assert client.get("/info/", headers=bearer(idp.token(sub="x"))).status_code == 200
        assert client.post("/auth/token", data={"username": "ann", "password": "x"}).status_code == 503


def test_a_provider_that_is_down_is_503(studies: Path, tmp_path: Path, idp: IdentityProvider) -> None:
    idp.broken = True
    with in_process(config_for(studies, tmp_path, oidc_issuer=idp.issuer, oidc_audience=AUDIENCE)) as client:
        answer = client.get("/info/", headers=bearer(idp.token()))
        assert answer.status_code == 503
        assert "sign-in provider" in answer.json()["detail"]
        assert client.get("/info/").status_code == 401


def test_a_users_file_that_cannot_be_read_lets_nobody_in(client: TestClient, tmp_path: Path) -> None:
    token = signed_in(client)
    path = client.app.state.access.users.database.path  # type: ignore[attr-defined]
    for part in path.parent.glob("access.sqlite*"):
        part.unlink()
    path.write_bytes(b"not a database " * 1000)
    answer = client.get("/info/", headers=bearer(token))
    assert answer.status_code == 503
    assert str(tmp_path) not in answer.text
    path.unlink()
    assert client.get("/info/", headers=bearer(token)).status_code == 401
    assert client.get("/info/").status_code == 401  # no users left, but this server asked for a sign-in before


def test_no_secret_is_ever_logged(
    studies: Path,
    tmp_path: Path,
    idp: IdentityProvider,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    config = config_for(studies, tmp_path, oidc_issuer=idp.issuer, oidc_audience=AUDIENCE)
    personal = token_of(config.state, "root", Role.ADMIN, PASSWORD)
    with caplog.at_level(logging.DEBUG), in_process(config) as client:
        # Put together here: a traceback shows lines of this file, and these are no leak.
        mistyped = "-".join(("mistyped", "secret"))
        secrets = [PASSWORD, personal, idp.people["ann"], mistyped]
        secrets.append(signed_in(client, "root", PASSWORD))
        secrets.append(signed_in(client, "root", personal))
        secrets.append(signed_in(client, "ann", idp.people["ann"]))
        for token in secrets:
            client.get("/info/", headers=bearer(token))
        client.post("/auth/token", data={"username": mistyped, "password": mistyped})
        client.post("/auth/token", data={"username": "root", "password": mistyped})
        page = client.post("/signin", data={"username": "root", "password": PASSWORD}, follow_redirects=False)
        secrets.append(page.headers["set-cookie"].partition("=")[2].partition(";")[0])
        client.post("/signout")
        kept = json.dumps(records(client))
    said = caplog.text + "".join(capfd.readouterr()) + kept
    assert "sign-in of root failed" in said
    assert "signin" in kept
    for secret in secrets:
        assert len(secret) > 10
        assert secret not in said
