"""What a request may say in JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.dicom.phantoms import GRIDS, sample, write_nifti
from tests.serving import config_for, in_process
from tumorseg.adapters.params import (
    MAX_DEPTH,
    MAX_TEXT,
    DetectionParams,
    NextSampleParams,
    SegmentationParams,
    parse,
    read_object,
)
from tumorseg.errors import InputError


def test_what_is_not_in_the_list_is_dropped() -> None:
    said = parse(DetectionParams, {"client_id": "x", "restore_label_idx": True, "tumor": [[1, 2, 3]], "score": "0.5"})
    assert said.model_dump() == DetectionParams(score=0.5).model_dump()
    assert parse(SegmentationParams, {"score": "nonsense"}) == SegmentationParams()
    assert parse(NextSampleParams, '{"client_id": "user-1", "more": 1}').client_id == "user-1"
    assert parse(NextSampleParams, {"client_id": {"a": 1}}).client_id is None


@pytest.mark.parametrize(
    "said",
    [
        {"result_compress": "perhaps"},
        {"result_compress": [True]},
        {"boxes": 2},
        {"boxes": 1.0},
        {"score": True},
        {"score": [0.5]},
        {"score": {"a": 1}},
        {"result_extension": [".nrrd"]},
        {"result_dtype": {"a": 1}},
    ],
)
def test_values_of_another_kind_are_refused(said: dict[str, Any]) -> None:
    with pytest.raises(
        InputError, match=rf"expected.*{next(iter(said)).partition('_')[0]}|{next(iter(said))}: expected"
    ):
        parse(DetectionParams, said)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        '{"a": [[[1]]]}',
        json.dumps({"a": "ä" * 1000}),
        "{" + '"a":{' * (MAX_DEPTH - 2) + "}" * (MAX_DEPTH - 1),
    ],
)
def test_plain_objects_are_read(text: str) -> None:
    assert isinstance(read_object(text, "params"), dict)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": NaN}', "no number"),
        ('{"a": -Infinity}', "no number"),
        ('{"a": "\\ud800"}', "no JSON"),
        ('{"a": ' + "9" * 5000 + "}", "no JSON"),
        ("[1]", "got list"),
        ("7", "got int"),
        ('{"a":' * 100 + "1" + "}" * 100, "nested"),
        ('{"a":' * 20_000 + "1" + "}" * 20_000, "nested"),
        ("{" + " " * MAX_TEXT + "}", "characters"),
    ],
)
def test_what_is_no_object_of_a_reasonable_size_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_object(text, "params")


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    write_nifti(tmp_path / "studies" / "case.nii.gz", GRIDS["axial"], sample(GRIDS["axial"]))
    with in_process(config_for(tmp_path / "studies", tmp_path, models="threshold,blobs")) as client:
        yield client


def test_the_settings_are_described_to_programs(client: TestClient) -> None:
    described = client.get("/openapi.json").json()
    form = next(schema for name, schema in described["components"]["schemas"].items() if "infer" in name)
    params = form["properties"]["params"]
    assert params["contentMediaType"] == "application/json"
    names = [set(model["properties"]) for model in params["contentSchema"]["anyOf"]]
    assert {"result_extension", "result_dtype", "result_compress"} in names
    assert any("score" in known for known in names)


def test_a_model_that_segments_is_not_bothered_by_the_settings_of_one_that_finds(client: TestClient) -> None:
    said = {"params": json.dumps({"score": 0.3, "boxes": False, "client_id": "x", "liver": [[1, 2, 3]]})}
    for model in ("threshold", "blobs"):
        assert client.post(f"/infer/{model}?image=case&output=json", data=said).status_code == 200


@pytest.mark.parametrize(
    "body",
    ['{"client_id": "\\ud83d"}', '{"client_id": "' + "x" * 1000 + '"}', '["\\ud83d"]', '"\\ud83d"', '{"\\ud83d": 1}'],
)
def test_what_is_refused_is_not_repeated(body: str, client: TestClient) -> None:
    """The framework answers with what was sent: half a letter then breaks the answer itself."""
    answer = client.post("/activelearning/first", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (200, 422)
    assert "xxxx" not in answer.text
    assert answer.status_code == 200 or answer.json()["detail"][0]["msg"]
