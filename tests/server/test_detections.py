"""Clicks on detected objects: kept and dropped through HTTP, by person and version, and saved as labels."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from tests.dicom.phantoms import GRIDS, write_nifti
from tests.lesions import VALUES, lesion_image
from tests.serving import SLICER_PARAMS, ask_ohif, ask_slicer, config_for, in_process, raw_voxels, read_label, token_of
from tumorseg.access.types import Role
from tumorseg.interactive.instances import instance_from_json

GRID = GRIDS["oblique"]
SEEN = lesion_image(GRID)


def voxel_of(label: str) -> list[int]:
    """A voxel ``[i, j, k]`` deep inside a lesion."""
    places = np.argwhere(VALUES[label] == SEEN)
    middle = places[np.abs(places - places.mean(axis=0)).sum(axis=1).argmin()]
    return [int(at) for at in middle[::-1]]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    write_nifti(tmp_path / "studies" / "case1.nii.gz", GRID, SEEN)
    return tmp_path


@pytest.fixture
def client(place: Path) -> Iterator[TestClient]:
    with in_process(config_for(place / "studies", place, models="blobs,threshold")) as found:
        yield found


def decide(client: TestClient, at: Any, decision: str = "drop", **how: Any) -> Any:
    asked = {"image": "case1", **how}
    model = asked.pop("model", "blobs")
    return client.post(f"/detections/{model}/decide", params=asked, json={"at": at, "decision": decision})


def listed(client: TestClient, **params: Any) -> dict[str, str | None]:
    """Return class -> decision."""
    asked = {"image": "case1", "params": json.dumps(params)}
    found = client.get("/detections/blobs", params=asked).json()["detections"]
    return {one["label"]: one["decision"] for one in found}


def test_a_click_drops_the_object_under_it_and_undo_brings_it_back(client: TestClient) -> None:
    assert listed(client) == {"tumor": None, "cyst": None}
    answer = decide(client, voxel_of("cyst")).json()
    (dropped,) = [one for one in answer["detections"] if one["instance"] == answer["instance"]]
    assert (dropped["label"], dropped["decision"]) == ("cyst", "drop")
    assert answer["counts"] == {"kept": 0, "dropped": 1, "undecided": 1}
    assert decide(client, voxel_of("tumor"), "keep").json()["counts"] == {"kept": 1, "dropped": 1, "undecided": 0}
    assert listed(client) == {"tumor": "keep", "cyst": "drop"}
    undone = client.post("/detections/blobs/undo", params={"image": "case1"})
    assert undone.json()["counts"] == {"kept": 0, "dropped": 1, "undecided": 1}
    client.post("/detections/blobs/undo", params={"image": "case1"})
    again = client.post("/detections/blobs/undo", params={"image": "case1"})
    assert again.status_code == 409
    assert "nothing to undo" in again.json()["detail"]


def test_viewers_are_no_longer_shown_what_was_dropped(client: TestClient) -> None:
    config = client.get("/info/").json()["models"]["blobs"]["config"]
    assert config["decided"] is False
    decide(client, voxel_of("cyst"))
    decide(client, voxel_of("cyst"), params=json.dumps({"client_id": SLICER_PARAMS["client_id"]}))
    assert set(np.unique(raw_voxels(ask_ohif(client, "case1", "blobs")))) == {0, 1, 2}
    params, _, data = ask_slicer(client, "case1", "blobs", **config | {"decided": True})
    assert [one["label"] for one in params["detections"]] == ["tumor"]
    assert len(json.loads(data)["markups"]) == 1
    said = {"params": json.dumps({"result_compress": False, "decided": True})}
    answer = client.post("/infer/blobs", params={"image": "case1", "output": "image"}, data=said)
    flat = raw_voxels(answer.content).reshape(GRID.shape)
    np.testing.assert_array_equal(flat == 2, VALUES["tumor"] == SEEN)
    assert not (flat == 1).any()
    assert listed(client) == {"tumor": None, "cyst": "drop"}  # the shortened answer is not taken for the whole one


def test_what_was_kept_becomes_a_label_and_what_was_dropped_goes_with_it(client: TestClient, place: Path) -> None:
    decide(client, voxel_of("tumor"), "keep")
    decide(client, voxel_of("cyst"))
    saved = client.post("/detections/blobs/save", params={"image": "case1"}).json()
    sent = client.get("/datastore/label", params={"label": "case1", "tag": "final"})
    (place / "label.nii.gz").write_bytes(sent.content)
    voxels, _ = read_label(place / "label.nii.gz")
    np.testing.assert_array_equal(voxels > 0, VALUES["tumor"] == SEEN)
    version = client.get(f"/labels/case1/versions/{saved['version']}").json()
    assert (version["model"], version["kind"]) == ("blobs", "label")
    assert version["info"]["label_info"] == [{"name": "tumor", "idx": 2}]
    (rejected,) = version["info"]["rejected"]
    instance = instance_from_json(rejected)
    mask = np.zeros(GRID.shape, bool)
    mask[instance.region] = instance.mask
    np.testing.assert_array_equal(mask, VALUES["cyst"] == SEEN)
    assert [one["verdict"] for one in version["prompts"]["decisions"]] == ["keep", "drop"]


def test_what_nobody_decided_about_is_asked_for_before_it_is_saved(client: TestClient) -> None:
    decide(client, voxel_of("cyst"))
    refused = client.post("/detections/blobs/save", params={"image": "case1"})
    assert refused.status_code == 409
    assert "1 of 2 objects" in refused.json()["detail"]
    kept = client.post("/detections/blobs/save", params={"image": "case1", "undecided": "keep"}).json()
    assert kept["no_lesion"] is False
    none = client.post("/detections/blobs/save", params={"image": "case1", "undecided": "drop"}).json()
    seen = {"image": "case1", "undecided": "keep", "parent": kept["version"]}
    assert client.post("/detections/blobs/save", params=seen).status_code == 409, "somebody saved another one since"
    assert none["no_lesion"] is True
    version = client.get(f"/labels/case1/versions/{none['version']}").json()
    assert [one["label"] for one in version["info"]["rejected"]] == ["cyst"]  # the other one nobody refused


def test_decisions_survive_a_restart_and_end_with_the_version_that_found_them(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_for(place / "studies", place, models="blobs")
    with in_process(config) as client:
        decide(client, voxel_of("cyst"))
    with in_process(config) as client:
        assert listed(client) == {"tumor": None, "cyst": "drop"}
    from tests import support

    newer = replace(support.build_blobs(), full=1001.0)
    monkeypatch.setattr(support, "build_blobs", lambda weights=None, device="auto": newer)
    with in_process(config) as client:
        assert listed(client) == {"tumor": None, "cyst": None}
        assert client.get("/detections/blobs", params={"image": "case1"}).json()["stale"] == 1


def test_everybody_decides_for_themselves(place: Path) -> None:
    config = config_for(place / "studies", place, models="blobs")
    tokens = [token_of(config.state, name, Role.ANNOTATOR) for name in ("ann", "bob")]
    looker = token_of(config.state, "eve", Role.VIEWER)
    with in_process(config) as client:
        client.headers["Authorization"] = f"Bearer {tokens[0]}"
        decide(client, voxel_of("cyst"))
        client.headers["Authorization"] = f"Bearer {tokens[1]}"
        assert listed(client) == {"tumor": None, "cyst": None}
        client.headers["Authorization"] = f"Bearer {looker}"
        assert decide(client, voxel_of("cyst")).status_code == 403


def test_thresholds_say_which_objects_there_are_to_click(client: TestClient) -> None:
    sure = json.dumps({"score": 0.7})
    assert decide(client, voxel_of("cyst"), params=sure).status_code == 404
    assert decide(client, voxel_of("tumor"), params=sure).json()["detection_options"]["score"] == 0.7
    assert listed(client) == {"tumor": "drop", "cyst": None}
    assert listed(client, score=0.7) == {"tumor": "drop"}


@pytest.mark.parametrize(
    ("at", "how", "status", "says"),
    [
        ([0, 0, 0], {}, 404, "none of the 2 objects .* lies at \\[0, 0, 0\\]"),
        ([400, 0, 0], {}, 422, "outside of the volume: expected i in 0..39"),
        ([-1, 0, 0], {}, 422, "outside of the volume"),
        ([1.5, 0, 0], {}, 422, "whole number"),
        ([1, 0], {}, 422, "expected at as a voxel index"),
        (None, {}, 422, "expected at as a voxel index"),
        ([1, 1, 1], {"image": "case2"}, 404, "case2"),
        ([1, 1, 1], {"model": "nothing"}, 404, "nothing"),
        ([1, 1, 1], {"model": "threshold"}, 422, "threshold finds no single objects"),
        ([1, 1, 1], {"decision": "perhaps"}, 422, "keep"),
        ([1, 1, 1], {"params": "[]"}, 422, "JSON object"),
        ([1, 1, 1], {"params": '{"score": 7}'}, 422, "score"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(
    client: TestClient, at: Any, how: dict[str, str], status: int, says: str
) -> None:
    answer = decide(client, at, **{"decision": "drop", **how})
    assert answer.status_code == status, answer.text
    found = answer.json()["detail"]
    import re

    assert re.search(says, found if isinstance(found, str) else json.dumps(found))


def test_an_image_that_was_deleted_has_no_objects_to_click(client: TestClient, place: Path) -> None:
    assert decide(client, voxel_of("cyst")).status_code == 200
    (place / "studies" / "case1.nii.gz").unlink()
    asked = {"image": "case1"}
    answers = [client.post(f"/detections/blobs/{way}", params=asked) for way in ("undo", "save")]
    for answer in (decide(client, voxel_of("tumor")), client.get("/detections/blobs", params=asked), *answers):
        assert answer.status_code == 404
        assert "choose another image" in answer.json()["detail"]
