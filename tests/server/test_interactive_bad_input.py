"""Whatever is wrong with what was clicked: a clear 4xx that says what to do, and the mask stays as it was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.clicking import IMAGE, ask, clickable
from tests.serving import in_process


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with in_process(clickable(tmp_path_factory.mktemp("attacked"))) as running:
        yield running


def begin(client: TestClient, **said: Any) -> Any:
    return client.post("/interactive/", json={"image": IMAGE, "model": "anything", "start": "nothing", **said})


def opened(client: TestClient) -> str:
    ident: str = begin(client).json()["id"]
    return ident


@pytest.mark.parametrize(("body", "kind"), [(b"{}", "text/plain"), (b"[]", "application/json"), (b"", "")])
def test_a_body_that_is_no_json_object_names_json_and_its_header(client: TestClient, body: bytes, kind: str) -> None:
    answer = client.post("/interactive/", content=body, headers={"Content-Type": kind})
    assert answer.status_code == 422
    assert "Content-Type: application/json" in answer.json()["detail"][0]["msg"]


@pytest.mark.parametrize("content", [b"no label map", b"\x1f\x8b" + b"1" * 50])
def test_strokes_in_a_damaged_file_are_refused_without_the_servers_folders(client: TestClient, content: bytes) -> None:
    params = json.dumps({"label_info": [{"name": "foreground_scribbles", "id": 1}], "selected_label_name": "tumor"})
    files = {"label": ("drawn.nii.gz", content)}
    answer = client.post("/infer/strokes", params={"image": IMAGE}, data={"params": params}, files=files)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("label.nii.gz is not NIfTI")


def test_a_box_beside_the_image_says_where_the_image_is(client: TestClient) -> None:
    answer = ask(client, "anything", label="a", roi=[40, 50, 0, 5, 0, 5])
    assert answer.status_code == 422
    assert "[0, 0, 0] to [31, 23, 5]" in answer.json()["detail"]
