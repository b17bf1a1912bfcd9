"""Every address says who may use it; one that says nothing lets nobody in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from tests.dicom.phantoms import GRIDS, sample, write_dicom_series, write_nifti
from tests.serving import config_for, in_process
from tumorseg.access.types import Principal, Role
from tumorseg.server.app import create_app
from tumorseg.server.rules import rule_of


def endpoints(routes: list[Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (address, endpoint) of every route, also of those in included routers."""
    for route in routes:
        inner = getattr(route, "original_router", None) or getattr(route, "router", None)
        if hasattr(route, "endpoint"):
            yield prefix + route.path, route.endpoint
        elif inner is not None:
            yield from endpoints(inner.routes, prefix)
        else:
            raise AssertionError(f"{route!r} is neither a route nor a router: teach this test what it is")


@pytest.mark.parametrize("kind", ["files", "dicom", "address"])
def test_every_route_says_who_may_use_it(kind: str, tmp_path: Path) -> None:
    studies: Path | str = tmp_path / "studies"
    if kind == "files":
        write_nifti(tmp_path / "studies" / "case1.nii.gz", GRIDS["axial"], sample(GRIDS["axial"]))
    elif kind == "dicom":
        write_dicom_series(tmp_path / "studies", GRIDS["axial"], sample(GRIDS["axial"]), SeriesDescription="FLAIR")
    else:
        studies = "http://127.0.0.1:9/dicom-web"
    found = list(endpoints(create_app(config_for(studies, tmp_path)).routes))
    assert len(found) > 25
    assert [path for path, endpoint in found if rule_of(endpoint) is None] == []


def test_a_route_without_a_rule_is_closed(tmp_path: Path) -> None:
    write_nifti(tmp_path / "studies" / "case1.nii.gz", GRIDS["axial"], sample(GRIDS["axial"]))
    app: FastAPI = create_app(config_for(tmp_path / "studies", tmp_path))

    @app.get("/forgotten")
    def forgotten() -> str:
        return "secret"

    with TestClient(app) as client:
        answer = client.get("/forgotten")
    assert answer.status_code == 403
    assert "secret" not in answer.text


def test_the_role_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_nifti(tmp_path / "studies" / "case1.nii.gz", GRIDS["axial"], sample(GRIDS["axial"]))
    with in_process(config_for(tmp_path / "studies", tmp_path)) as client:
        monkeypatch.setattr("tumorseg.server.rules.LOCAL", Principal("ann", Role.VIEWER, "token"))
        assert client.get("/info/").status_code == 200
        refused = client.delete("/datastore/label", params={"id": "case1", "tag": "final"})
    assert refused.status_code == 403
    assert refused.json()["detail"] == "this needs the role reviewer, ann is viewer"
