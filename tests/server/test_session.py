"""Sessions: an image that a viewer brings along, segmented and forgotten."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from tests.dicom.phantoms import GRIDS, sample, write_dicom_series, write_nifti
from tests.server.test_archives import zipped
from tests.serving import config_for, in_process, read_label, token_of, tumour_mask
from tumorseg.access.types import Role
from tumorseg.geometry import Grid

GRID = GRIDS["oblique"]


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    write_nifti(tmp_path / "studies" / "case.nii.gz", GRIDS["axial"], sample(GRIDS["axial"]))
    with in_process(config_for(tmp_path / "studies", tmp_path)) as client:
        yield client


def _open(client: TestClient, files: list[Path]) -> str:
    answer = client.put("/session/", files=[("files", (path.name, path.read_bytes())) for path in files])
    assert answer.status_code == 200, answer.text
    return str(answer.json()["session_id"])


def _infer(client: TestClient, session: str, folder: Path) -> None:
    answer = client.post("/infer/threshold", params={"image": "own", "session_id": session, "output": "image"})
    assert answer.status_code == 200, answer.text
    (folder / "answer.nrrd").write_bytes(answer.content)
    voxels, grid = read_label(folder / "answer.nrrd")
    np.testing.assert_array_equal(voxels > 0, tumour_mask(grid))
    assert grid.same_as(GRID, 0.05)


def test_a_file_and_a_series(client: TestClient, tmp_path: Path) -> None:
    file = write_nifti(tmp_path / "own.nii.gz", GRID, sample(GRID))
    series = write_dicom_series(tmp_path / "series", GRID, sample(GRID), SeriesDescription="FLAIR")
    for files in ([file], series):
        session = _open(client, files)
        _infer(client, session, tmp_path)
        assert client.get(f"/session/{session}").json()["name"] == session
        assert client.delete(f"/session/{session}").status_code == 200
        assert client.get(f"/session/{session}").status_code == 404
    assert client.post("/infer/threshold", params={"session_id": session}).status_code == 404
    assert not list((tmp_path / "cache" / "sessions").iterdir())


def test_a_file_sent_along(client: TestClient, tmp_path: Path) -> None:
    file = write_nifti(tmp_path / "own.nii.gz", GRID, sample(GRID))
    answer = client.post("/infer/threshold", params={"output": "json"}, files={"file": (file.name, file.read_bytes())})
    assert answer.status_code == 200
    assert answer.json()["centroids"]["tumor"]


def test_sessions_end(client: TestClient, tmp_path: Path) -> None:
    file = write_nifti(tmp_path / "own.nii.gz", GRID, sample(GRID))
    old = _open(client, [file])
    meta = tmp_path / "cache" / "sessions" / old / "session.json"
    meta.write_text(json.dumps({**json.loads(meta.read_text()), "used": time.time() - 4000}))
    _open(client, [file])
    assert client.get(f"/session/{old}").status_code == 404


@pytest.mark.parametrize("session", ["../sessions", "..", "%2e%2e", "x" * 32, "0" * 32])
def test_an_id_is_none_of_ours(session: str, client: TestClient) -> None:
    assert client.delete(f"/session/{session}").status_code in (404, 405)
    assert client.post("/infer/threshold", params={"session_id": session}).status_code == 404


def test_names_of_a_client_lead_nowhere(client: TestClient, tmp_path: Path) -> None:
    data = write_nifti(tmp_path / "own.nii.gz", GRID, sample(GRID)).read_bytes()
    answer = client.put("/session/", files=[("files", ("../../../evil.nii.gz", data))])
    assert answer.status_code == 200
    assert not list(tmp_path.rglob("evil*"))
    before = sorted(tmp_path.rglob("*"))
    assert client.put("/session/?uncompress=true", files=[("files", ("a.zip", data))]).status_code == 422
    assert client.put("/session/", files=[("files", ("a.nii.gz", b""))]).status_code == 422
    assert client.put("/session/").status_code == 422
    assert sorted(tmp_path.rglob("*")) == before


def test_a_zip_is_unpacked_where_that_is_asked_for(client: TestClient, tmp_path: Path) -> None:
    series = write_dicom_series(tmp_path / "series", GRID, sample(GRID), SeriesDescription="FLAIR")
    archive = zipped({f"study/{path.name}": path.read_bytes() for path in series} | {"readme/": b""})
    answer = client.put("/session/?uncompress=true", files=[("files", ("a.zip", archive))])
    assert answer.status_code == 200, answer.text
    _infer(client, answer.json()["session_id"], tmp_path)
    assert client.put("/session/", files=[("files", ("a.zip", archive))]).status_code == 422


def test_a_session_gives_its_images_back(client: TestClient, tmp_path: Path) -> None:
    file = write_nifti(tmp_path / "own.nii.gz", GRID, sample(GRID))
    answer = client.get(f"/session/{_open(client, [file])}", params={"image": True})
    assert answer.content == file.read_bytes()
    series = write_dicom_series(tmp_path / "series", GRID, sample(GRID), SeriesDescription="FLAIR")
    answer = client.get(f"/session/{_open(client, series)}", params={"image": True})
    with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
        assert packed.testzip() is None
        assert sorted(packed.read(name) for name in packed.namelist()) == sorted(path.read_bytes() for path in series)
    assert not list((tmp_path / "cache" / "incoming").glob("*/*"))


def test_a_session_is_its_owners(tmp_path: Path) -> None:
    file = write_nifti(tmp_path / "studies" / "case.nii.gz", GRIDS["axial"], sample(GRIDS["axial"]))
    config = config_for(tmp_path / "studies", tmp_path)
    people = {name: token_of(config.state, name, Role.ANNOTATOR) for name in ("ann", "bob")}
    people["root"] = token_of(config.state, "root", Role.ADMIN)
    with in_process(config) as client:

        def ask(who: str, method: str, path: str, **kw: Any) -> int:
            headers = {"Authorization": f"Bearer {people[who]}"}
            return int(client.request(method, path, headers=headers, **kw).status_code)

        files = [("files", (file.name, file.read_bytes()))]
        headers = {"Authorization": f"Bearer {people['ann']}"}
        session = client.put("/session/", files=files, headers=headers).json()["session_id"]
        for who, status in (("ann", 200), ("bob", 404), ("root", 200)):
            assert ask(who, "GET", f"/session/{session}") == status
            assert ask(who, "GET", f"/session/{session}?image=true") == status
            assert ask(who, "POST", f"/infer/threshold?session_id={session}&output=json") == status
        assert ask("bob", "DELETE", f"/session/{session}") == 404
        assert ask("ann", "DELETE", f"/session/{session}") == 200


def test_files_of_a_session_together_are_no_larger_than_one(tmp_path: Path) -> None:
    write_nifti(tmp_path / "studies" / "case.nii.gz", GRIDS["axial"], sample(GRIDS["axial"]))
    grid = Grid((40, 128, 128), np.eye(4))
    series = write_dicom_series(tmp_path / "series", grid, np.zeros(grid.shape, np.int16))
    with in_process(config_for(tmp_path / "studies", tmp_path, max_decoded_mb=1)) as client:
        files = [("files", (path.name, path.read_bytes())) for path in series]
        assert client.put("/session/", files=files[:20]).status_code == 200
        refused = client.put("/session/", files=files)
        assert refused.status_code == 413
        assert "1 MB" in refused.text
        assert len(list((tmp_path / "cache" / "sessions").iterdir())) == 1
