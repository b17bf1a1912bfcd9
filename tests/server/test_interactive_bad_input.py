"""Whatever is wrong with what was clicked: a clear 4xx that says what to do, and the mask stays as it was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from tests.clicking import FIRST, IMAGE, SECOND, ask, clickable, write_balls
from tests.serving import in_process
from tumorseg.adapters.interactive.steps import prompts_of
from tumorseg.interactive.prompts import Scribble


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


@pytest.mark.parametrize("said", [{"labl": "cyst"}, {"positive": False}])
def test_a_misspelt_field_begins_no_other_segment(client: TestClient, said: dict[str, Any]) -> None:
    answer = begin(client, **said)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", *said]


def test_a_field_beside_the_prompts_is_refused_and_nothing_is_clicked(client: TestClient) -> None:
    ident = opened(client)
    body = {"prompts": [{"click": FIRST}], "positive": False}
    assert client.post(f"/interactive/{ident}/prompts", json=body).status_code == 422
    assert client.get(f"/interactive/{ident}").json()["prompts"] == 0


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"slice": "2"}, "slice of propagate as a whole number, got '2'"),
        ({"slice": True}, "slice of propagate as a whole number, got True"),
        ({"slice": 2.5}, "slice of propagate as a whole number, got 2.5"),
        ({"slice": 10**400}, "a number of 1329 bits"),
        ({"slice": 2, "axis": "k"}, "axis of propagate"),
        ({"slice": 2, "first": [1]}, "first of propagate"),
        ({"slice": 2, "last": False}, "last of propagate"),
        ({"slice": 2, "lats": 3}, "Extra inputs"),
        ({}, "Field required"),
    ],
)
def test_a_slice_that_is_no_whole_number(client: TestClient, said: dict[str, Any], message: str) -> None:
    ident = opened(client)
    client.post(f"/interactive/{ident}/prompts", json={"prompts": [{"click": FIRST}]})
    answer = client.post(f"/interactive/{ident}/propagate", json=said)
    assert answer.status_code == 422
    assert message in str(answer.json()["detail"])
    assert client.get(f"/interactive/{ident}").json()["prompts"] == 1


@pytest.mark.parametrize("points", [FIRST, {"i": 1, "j": 2, "k": 3}, "1, 2, 3", [None], 5])
def test_points_under_the_chosen_segments_name_are_never_dropped(client: TestClient, points: Any) -> None:
    answer = ask(client, "anything", label="cyst", cyst=points)
    assert answer.status_code == 422
    assert "cyst" in answer.json()["detail"]


def test_a_class_that_this_server_does_not_keep_is_refused_before_the_first_click(tmp_path: Path) -> None:
    with in_process(clickable(tmp_path, label_classes={"cyst": 1, "tumor": None})) as client:
        for said in ({"label": "liver"}, {}):
            answer = begin(client, **said)
            assert answer.status_code == 422
            assert "is unknown here; expected one of cyst=1, tumor" in answer.json()["detail"]
        assert begin(client, label="tumor").status_code == 200


def test_a_server_that_stops_ends_a_long_list_of_prompts_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with in_process(clickable(tmp_path)) as client:
        ident, place = opened(client), client.app.state.workplace  # type: ignore[attr-defined]
        model = place.interactive.models.get("anything")
        plain, clicks = type(model).answer, []

        def told_to_stop(*args: Any) -> Any:
            clicks.append(args[-1])
            place.engine.queue.begin_closing()
            return plain(model, *args)

        monkeypatch.setattr(model, "answer", told_to_stop)
        prompts = [{"click": FIRST}, {"click": SECOND}, {"click": [1, 1, 1]}]
        answer = client.post(f"/interactive/{ident}/prompts", json={"prompts": prompts})
        assert answer.status_code == 503
        assert "stopping" in answer.json()["detail"]
        assert answer.headers["retry-after"]
        assert len(clicks) == 1
        assert client.get(f"/interactive/{ident}").json()["prompts"] == 0


def test_the_image_of_a_session_that_was_deleted_is_gone_for_clicks_too(client: TestClient, tmp_path: Path) -> None:
    with write_balls(tmp_path / "mine.nii.gz").open("rb") as file:
        session = client.put("/session/", files={"files": ("mine.nii.gz", file)}).json()["session_id"]
    ident = begin(client, image="", session_id=session).json()["id"]
    body = {"prompts": [{"click": FIRST}]}
    assert client.post(f"/interactive/{ident}/prompts", json=body).status_code == 200
    client.delete(f"/session/{session}")
    for method, path in (("POST", "prompts"), ("POST", "undo"), ("GET", "mask")):
        answer = client.request(method, f"/interactive/{ident}/{path}", json=body if path == "prompts" else None)
        assert answer.status_code == 404
        assert "send the image again" in answer.json()["detail"]
    assert client.get(f"/interactive/{ident}").json()["prompts"] == 1


def test_half_a_letter_in_a_name_is_refused_and_not_a_failure(client: TestClient) -> None:
    """A name is repeated in the answer, and half a letter cannot be sent."""
    body = b'{"image": "\\ud800", "model": "anything"}'
    answer = client.post("/interactive/", content=body, headers={"Content-Type": "application/json"})
    assert 400 <= answer.status_code < 500, answer.text


def test_strokes_of_a_long_list_are_unpacked_one_at_a_time(client: TestClient) -> None:
    """A request of 55 kB must not become gigabytes: every scribble is as large as its image."""
    shape = (6, 24, 32)
    entry = SimpleNamespace(
        look=SimpleNamespace(encoded=SimpleNamespace(shape=shape)),
        session=SimpleNamespace(model=SimpleNamespace(name="any", kinds=(Scribble,))),
    )
    size = int(np.prod(shape))
    prompts = prompts_of(entry, [{"scribble": {"runs": [[1, n], [0, size - n]]}} for n in (3, 4)])  # type: ignore[arg-type]
    assert [int(one.marks.sum()) for one in prompts] == [3, 4]  # type: ignore[union-attr]
    assert prompts[0] is not prompts[0]
