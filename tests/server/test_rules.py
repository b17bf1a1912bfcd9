"""Every address says who may use it; one that says nothing lets nobody in."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from fastapi import Depends, FastAPI
from starlette.testclient import TestClient

from tests.dicom.phantoms import GRIDS, sample, write_dicom_series, write_nifti
from tests.serving import config_for, in_process, token_of
from tumorseg.access.types import Role
from tumorseg.server import errors
from tumorseg.server.app import create_app
from tumorseg.server.rules import enforced, rule, rule_of
from tumorseg.server.rules_table import addresses, table


@pytest.mark.parametrize("kind", ["files", "dicom", "address"])
def test_every_route_says_who_may_use_it(kind: str, tmp_path: Path) -> None:
    studies: Path | str = tmp_path / "studies"
    if kind == "files":
        write_nifti(tmp_path / "studies" / "case1.nii.gz", GRIDS["axial"], sample(GRIDS["axial"]))
    elif kind == "dicom":
        write_dicom_series(tmp_path / "studies", GRIDS["axial"], sample(GRIDS["axial"]), SeriesDescription="FLAIR")
    else:
        studies = "http://127.0.0.1:9/dicom-web"
    found = list(addresses(create_app(config_for(studies, tmp_path)).routes))
    assert len(found) > 25
    assert [path for _, path, endpoint in found if rule_of(endpoint) is None] == []


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


def test_the_role_decides(tmp_path: Path) -> None:
    write_nifti(tmp_path / "studies" / "case1.nii.gz", GRIDS["axial"], sample(GRIDS["axial"]))
    config = config_for(tmp_path / "studies", tmp_path)
    with in_process(config) as client:
        client.headers["Authorization"] = f"Bearer {token_of(config.state, 'ann', Role.VIEWER)}"
        assert client.get("/info/").status_code == 200
        refused = client.delete("/datastore/label", params={"id": "case1", "tag": "final"})
    assert refused.status_code == 403
    assert refused.json()["detail"] == "this needs the role reviewer, ann is viewer"


def test_without_the_middleware_nobody_is_known() -> None:
    app = FastAPI(dependencies=[Depends(enforced)])
    errors.install(app)

    @app.get("/bare")
    @rule(Role.VIEWER)
    def bare() -> str:
        return "secret"

    labels = SimpleNamespace(root=Path("none"))
    app.state.scratch = SimpleNamespace(folder=Path("none"))
    app.state.workplace = SimpleNamespace(
        config=config_for("http://127.0.0.1:9/", Path("none")), datastore=SimpleNamespace(labels=labels)
    )
    assert TestClient(app).get("/bare").status_code == 401


def test_the_table_of_the_docs_names_every_address(tmp_path: Path) -> None:
    write_dicom_series(tmp_path / "studies", GRIDS["axial"], sample(GRIDS["axial"]), SeriesDescription="FLAIR")
    rows = table(create_app(config_for(tmp_path / "studies", tmp_path)).routes)
    named = {address: (role, action) for role, action, listed in rows for address in listed.split(", ")}
    assert named["`PUT /datastore/label`"] == ("annotator", "`label.save`")
    assert named["`GET /proxy/dicom/…`"][0] == "viewer"
    assert named["`POST /auth/token`"] == ("everybody", "")
    assert [role for role, _, _ in rows] == sorted(
        (role for role, _, _ in rows), key=["everybody", *(role.title for role in Role)].index
    )
