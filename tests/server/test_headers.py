"""Every answer, also an error, tells the browser what to refuse."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.dicom.phantoms import GRIDS, sample, write_nifti
from tests.serving import config_for, in_process
from tumorseg.server.headers import ALWAYS


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    write_nifti(tmp_path / "studies" / "case1.nii.gz", GRIDS["axial"], sample(GRIDS["axial"]))
    with in_process(config_for(tmp_path / "studies", tmp_path)) as client:
        yield client


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 200),
        ("/docs", 200),
        ("/info/", 200),
        ("/ohif/", 200),
        ("/ohif/app-config.js", 200),
        ("/datastore/image?image=case1", 200),
        ("/datastore/image?image=none", 404),
        ("/nowhere", 404),
        ("/datastore/?output=odd", 422),
        ("/openapi.json", 200),
        ("/favicon.ico", 200),
    ],
)
def test_on_every_kind_of_answer(client: TestClient, path: str, status: int) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    for name, value in ALWAYS.items():
        assert answer.headers[name] == value
    assert "default-src" in answer.headers["content-security-policy"]
    assert "strict-transport-security" not in answer.headers
    assert answer.headers["cache-control"] == ("no-cache" if path.startswith("/ohif") else "no-store")
    assert "server" not in answer.headers


def test_on_an_error_that_nobody_foresaw(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr("tumorseg.adapters.workplace.Workplace.info", fail)
    answer = client.get("/info/")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"


def test_under_https_the_browser_stays_there(client: TestClient) -> None:
    client.base_url = "https://testserver"  # type: ignore[assignment]
    assert "max-age=" in client.get("/info/").headers["strict-transport-security"]


def test_a_route_may_say_it_otherwise(client: TestClient) -> None:
    """OHIF needs a policy of its own."""
    assert "'unsafe-eval'" in client.get("/ohif/").headers["content-security-policy"]
