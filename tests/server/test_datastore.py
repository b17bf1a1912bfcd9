"""``/datastore/label`` over the wire: provenance, versions, stale editors, tombstones, and a disk that fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from httpx import Response
from starlette.testclient import TestClient

from tests.dicom.phantoms import GRIDS, sample, write_nifti
from tests.serving import config_for, in_process, tumour_mask
from tumorseg.io.write import write_segmentation
from tumorseg.types import Segmentation

GRID = GRIDS["axial"]


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    write_nifti(tmp_path / "studies" / "case.nii.gz", GRID, sample(GRID))
    with in_process(config_for(tmp_path / "studies", tmp_path)) as client:
        yield client


def mask(tmp_path: Path, name: str = "a.nii.gz", times: int = 1) -> bytes:
    """Write the phantom's tumour as value ``times``; 0 is an empty map."""
    voxels = (tumour_mask(GRID) * times).astype("uint8")
    return write_segmentation(tmp_path / name, Segmentation(voxels, GRID, {"tumor": max(times, 1)})).read_bytes()


def save(client: TestClient, data: bytes, *, headers: dict[str, str] | None = None, **more: Any) -> Response:
    params = {"image": "case", "tag": "final", **{key: more.pop(key) for key in ("tag", "parent") if key in more}}
    return client.put(
        "/datastore/label",
        params=params,
        files={"label": ("a.nii.gz", data)},
        data={"params": json.dumps(more)},
        headers=headers or {},
    )


def fetch(client: TestClient, **params: str) -> Response:
    return client.get("/datastore/label", params={"label": "case", "tag": "final", **params})


def info(client: TestClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/datastore/label/info", params={"label": "case", "tag": "final"}).json()
    return found


def test_where_a_label_comes_from_is_kept(client: TestClient, tmp_path: Path) -> None:
    answer = save(
        client,
        mask(tmp_path),
        headers={"User-Agent": "Slicer/5.8"},
        client_id="user-xyz",
        model="threshold",
        model_version="0a1b",
        prompts={"foreground": [[1, 2, 3]]},
        label_info=[{"name": "tumor", "idx": 1}],
    )
    assert answer.status_code == 200, answer.text
    said = info(client)
    assert (said["author"], said["tool"], said["model"]) == ("local", "Slicer/5.8 (user-xyz)", "threshold")
    assert said["label_info"] == [{"name": "tumor", "idx": 1}]
    history = client.app.state.workplace.datastore.labels.history  # type: ignore[attr-defined]
    version = history.version(answer.json()["version"])
    assert (version.model_version, version.prompts) == ("0a1b", {"foreground": [[1, 2, 3]]})
    assert version.request_id == answer.headers["x-request-id"]


@pytest.mark.parametrize("said", [{"prompts": [1]}, {"model": {"a": 1}}, {"model_version": 7}])
def test_provenance_that_is_none_is_refused(said: dict[str, Any], client: TestClient, tmp_path: Path) -> None:
    assert save(client, mask(tmp_path), **said).status_code == 422
    assert client.get("/datastore/").json()["completed"] == 0


def test_every_version_can_be_fetched_and_an_unchanged_one_is_not_sent_again(
    client: TestClient, tmp_path: Path
) -> None:
    sent = [mask(tmp_path, times=1), mask(tmp_path, times=2)]
    uids = [save(client, data).json()["version"] for data in sent]
    newest = fetch(client)
    assert newest.content == sent[1]
    assert newest.headers["etag"] == f'"{uids[1]}"'
    assert 'filename="case.nii.gz"' in newest.headers["content-disposition"]
    assert fetch(client, version=uids[0]).content == sent[0]
    again = client.get(
        "/datastore/label", params={"label": "case", "tag": "final"}, headers={"If-None-Match": newest.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")
    assert fetch(client, author="local").content == sent[1]
    assert fetch(client, author="nobody").status_code == 404
    assert fetch(client, version="0" * 32).status_code == 404
    assert fetch(client, version=uids[0], tag="other").status_code == 404


@pytest.mark.parametrize("how", ["header", "query"])
def test_a_stale_editor_is_answered_409(how: str, client: TestClient, tmp_path: Path) -> None:
    first = save(client, mask(tmp_path, times=1)).headers["etag"]

    def based_on(etag: str, times: int) -> Response:
        data = mask(tmp_path, times=times)
        if how == "header":
            return save(client, data, headers={"If-Match": etag})
        return save(client, data, parent=etag.strip('"'))

    second = based_on(first, 2)
    assert second.status_code == 200
    stale = based_on(first, 3)
    assert stale.status_code == 409
    assert second.json()["version"] in stale.json()["detail"]
    # The answer to the second was lost and it is sent again.
    assert based_on(first, 2).json() == second.json()
    assert based_on(second.headers["etag"], 3).status_code == 200


def test_the_same_save_twice_is_one_version(client: TestClient, tmp_path: Path) -> None:
    data = mask(tmp_path)
    assert save(client, data, label_info=[]).json() == save(client, data, label_info=[]).json()


def test_an_empty_mask_says_no_lesion_and_counts(client: TestClient, tmp_path: Path) -> None:
    answer = save(client, mask(tmp_path, times=0))
    assert answer.json()["no_lesion"] is True
    assert info(client)["no_lesion"] is True
    assert client.get("/datastore/").json()["completed"] == 1
    assert client.post("/activelearning/first", json={}).json() == {}
    assert client.get("/datastore/?output=train").json() == [{"image": "case.nii.gz", "label": "case.nii.gz"}]


def test_a_removed_label_can_still_be_fetched_by_its_version(client: TestClient, tmp_path: Path) -> None:
    data = mask(tmp_path)
    uid = save(client, data).json()["version"]
    assert client.head("/datastore/label", params={"label": "case", "tag": "final"}).status_code == 200
    assert client.delete("/datastore/label", params={"id": "case", "tag": "final"}).status_code == 200
    assert client.head("/datastore/label", params={"label": "case", "tag": "final"}).status_code == 404
    assert fetch(client).status_code == 404
    assert fetch(client, version=uid).content == data
    assert client.get("/datastore/").json()["completed"] == 0
    assert client.delete("/datastore/label", params={"id": "case", "tag": "final"}).status_code == 404


def test_saying_more_is_a_new_version(client: TestClient, tmp_path: Path) -> None:
    uid = save(client, mask(tmp_path), said=1).json()["version"]
    answer = client.put(
        "/datastore/label/info", params={"label": "case", "tag": "final"}, data={"info": '{"more": 2, "ts": 3}'}
    )
    assert answer.status_code == 200
    said = info(client)
    assert (said["said"], said["more"]) == (1, 2)
    assert said["version"] != uid


def test_labels_that_are_gone_are_no_empty_store(client: TestClient, tmp_path: Path) -> None:
    data = mask(tmp_path)
    assert save(client, data).status_code == 200
    (tmp_path / "studies" / "labels").rename(tmp_path / "away")
    for answer in (client.get("/datastore/"), fetch(client), save(client, mask(tmp_path, times=2))):
        assert answer.status_code == 503, answer.text
        assert "gone" in answer.json()["detail"]
        assert str(tmp_path) not in answer.json()["detail"]
    told = client.get("/info/")
    assert told.status_code == 200
    assert told.json()["datastore"]["total"] == 1
    assert "error" in told.json()["datastore"]
    (tmp_path / "away").rename(tmp_path / "studies" / "labels")
    assert fetch(client).content == data
    assert "error" not in client.get("/info/").json()["datastore"]
