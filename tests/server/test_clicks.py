"""Clicks through ``POST /infer/{model}``, as 3D Slicer and OHIF send them: right, remembered, refused where wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from starlette.testclient import TestClient

from tests.clicking import DARK, FIRST, IMAGE, SECOND, ask, bright, click, clickable, read, write_balls
from tests.serving import OHIF_PARAMS, in_process, raw_voxels
from tumorseg.interactive.log import mask_sha256


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with in_process(clickable(tmp_path_factory.mktemp("clicks"), IMAGE, "gone", "moved", "labelled")) as running:
        yield running


def model_of(client: TestClient, name: str) -> Any:
    return client.app.state.workplace.interactive.models.get(name)  # type: ignore[attr-defined]


def entries(client: TestClient) -> Any:
    return client.app.state.workplace.interactive.entries  # type: ignore[attr-defined]


def test_info_offers_the_models_where_viewers_look(client: TestClient) -> None:
    models = client.get("/info/").json()["models"]
    assert {name: models[name]["type"] for name in ("balls", "strokes")} == {
        "balls": "deepgrow",
        "strokes": "scribbles",
    }
    assert models["balls"]["labels"] == {"tumor": 1}
    assert models["anything"]["labels"] == {}
    assert models["balls"]["dimension"] == 3
    assert models["balls"]["config"] == {"start": ["auto", "nothing", "label"]}
    assert "tumor" in client.get("/info/").json()["labels"]


@pytest.mark.parametrize("model", ["balls", "network"])
def test_a_click_from_nothing_marks_where_it_was(client: TestClient, model: str) -> None:
    mask, said = click(client, model, label="tumor", foreground=[FIRST], background=[], start="nothing")
    i, j, k = FIRST
    assert mask[k, j, i]
    assert not (mask & ~bright()).any()
    assert not mask[SECOND[2], SECOND[1], SECOND[0]]
    assert said["label_names"] == {"tumor": 1}
    assert said["prompts"] == 1
    assert said["sha256"] == mask_sha256(mask)
    assert {"queued", "encode", "click", "write", "total"} <= said["latencies"].keys()
    assert said["segments"]["tumor"]["start"] == "nothing"


def test_it_begins_with_the_models_own_proposal(client: TestClient) -> None:
    mask, said = click(client, label="tumor")
    assert np.array_equal(mask, bright())
    assert said["segments"]["tumor"] == {"prompts": 0, "sha256": mask_sha256(mask), "start": "auto"}
    mask, _ = click(client, label="tumor", background=[SECOND])
    assert not mask[SECOND[2], SECOND[1], SECOND[0]]
    assert mask[FIRST[2], FIRST[1], FIRST[0]], "a click beside a lesion takes no other one away"


def test_a_segment_that_the_model_has_no_name_for_begins_with_nothing(client: TestClient) -> None:
    mask, said = click(client, label="Zyste ä")
    assert not mask.any()
    assert said["label_names"] == {"Zyste ä": 1}
    assert click(client, "anything", label="Zyste ä")[0].any(), "one that has no names proposes for any"


def test_ohif_gets_raw_voxels_in_the_order_of_what_is_shown(client: TestClient) -> None:
    params = json.dumps({**OHIF_PARAMS, "start": "nothing", "foreground": [SECOND], "background": []})
    answer = client.post("/infer/balls", params={"image": IMAGE, "output": "image"}, data={"params": params})
    voxels = raw_voxels(answer.content).reshape(bright().shape)
    assert voxels[SECOND[2], SECOND[1], SECOND[0]] == 1
    assert set(np.unique(voxels)) == {0, 1}


def test_points_under_the_names_of_labels_make_one_label_map(client: TestClient) -> None:
    answer = ask(client, "anything", start="nothing", cyst=[FIRST], tumor=[SECOND], background=[DARK])
    said, voxels = read(answer)
    values = said["label_names"]
    assert voxels[FIRST[2], FIRST[1], FIRST[0]] == values["cyst"]
    assert voxels[SECOND[2], SECOND[1], SECOND[0]] == values["tumor"]
    assert len(set(values.values())) == 2
    assert said["prompts"] == 6


def test_one_more_point_costs_one_answer_and_the_same_ones_none(client: TestClient) -> None:
    model = model_of(client, "balls")
    first, _ = click(client, label="counted", foreground=[FIRST])
    before, looked = model.answers, model.encodings
    again, _ = click(client, label="counted", foreground=[FIRST])
    assert model.answers == before
    both, _ = click(client, label="counted", foreground=[FIRST, SECOND])
    assert model.answers == before + 1
    back, _ = click(client, label="counted", foreground=[FIRST])
    assert (model.answers, model.encodings) == (before + 1, looked)
    assert np.array_equal(first, again)
    assert np.array_equal(first, back), "a point that was taken away is undone, exactly"
    assert both[SECOND[2], SECOND[1], SECOND[0]]


@pytest.mark.parametrize("model", ["balls", "network"])
def test_an_image_too_large_for_the_memory_is_looked_at_once_all_the_same(client: TestClient, model: str) -> None:
    looks = client.app.state.workplace.interactive.looks  # type: ignore[attr-defined]
    click(client, model, label="large", foreground=[FIRST])
    looked = model_of(client, model).encodings
    for key in list(looks.kept._kept):
        looks.kept.drop(key)
    click(client, model, label="large", foreground=[FIRST, SECOND])
    assert model_of(client, model).encodings == looked


def test_each_answer_is_a_turn_also_where_an_early_point_is_taken_away(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    points, turns, model = [[8 + n, 8, 2] for n in range(4)], [], model_of(client, "balls")
    said = {"label": "tumor", "start": "nothing"}
    right, _ = click(client, **said, client_id="another", foreground=points[1:])
    click(client, **said, client_id="first", foreground=points)
    desk = client.app.state.workplace.interactive  # type: ignore[attr-defined]
    turn = desk.turns.click

    async def counted(*args: Any) -> Any:
        before = model.answers
        found = await turn(*args)
        turns.append(model.answers - before)
        return found

    monkeypatch.setattr(desk.turns, "click", counted)
    mask, params = click(client, **said, client_id="first", foreground=points[1:])
    assert turns == [1, 1, 1]
    assert np.array_equal(mask, right)
    assert params["prompts"] == 3


@pytest.mark.parametrize("model", ["balls", "network"])
def test_requests_of_one_person_for_one_mask_at_once_are_each_answered_for_their_own_points(
    client: TestClient, model: str
) -> None:
    asked = ([FIRST], [SECOND], [FIRST, SECOND], [])
    said = {"label": "tumor", "start": "nothing", "client_id": f"hasty {model}"}
    right = [click(client, model, **{**said, "client_id": "slow"}, foreground=points)[0] for points in asked]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda points: click(client, model, **said, foreground=points), 4 * asked))
    for number, (mask, params) in enumerate(found):
        assert np.array_equal(mask, right[number % 4])
        assert params["sha256"] == mask_sha256(mask)
        assert params["prompts"] == len(asked[number % 4])


def test_a_box_drawn_over_the_edge_is_cut_off_and_one_beside_the_image_refused(client: TestClient) -> None:
    mask, _ = click(client, label="boxed", start="nothing", roi=[14, -3, 15, 0, 5, 0])
    expected = bright()
    expected[:, :, 15:] = False
    assert np.array_equal(mask, expected)
    _, error = click(client, label="boxed", start="nothing", roi=[40, 50, 0, 5, 0, 5], status=422)
    assert "outside of the volume" in error["detail"]


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"foreground": [[32, 0, 0]]}, "expected i in 0..31"),
        ({"foreground": [[0, 0, -1]]}, "expected k in 0..5"),
        ({"foreground": [[1, 2, 2.5]]}, "2.5"),
        ({"foreground": [[1, 2]]}, "three whole numbers"),
        ({"foreground": "[[1, 2, 3]]"}, "list of points"),
        ({"foreground": [["1", 2, 3]]}, "whole number"),
        ({"foreground": [[n % 32, n % 24, n % 6] for n in range(10_000)]}, "at most 1000"),
        ({"foreground": [FIRST], "background": [FIRST]}, "belong to the segment and not"),
        ({"foreground": [FIRST], "tumor": [SECOND]}, "one dialect"),
        ({"liver": [FIRST]}, "unknown label 'liver': expected points under one of tumor"),
        ({"label": "", "foreground": [FIRST]}, "printable"),
        ({"label": "x" * 10_000, "foreground": [FIRST]}, "printable"),
        ({"label": "a\u0000b", "foreground": [FIRST]}, "printable"),
        ({"foreground": [FIRST], "start": "yesterday"}, "auto, nothing, label"),
        ({"foreground": [FIRST], "device": "cuda"}, "may not set device"),
        ({"foreground": [FIRST], "result_extension": ".json"}, "mask"),
        ({"foreground": [FIRST], "result_dtype": "float"}, "result_dtype"),
    ],
)
def test_bad_prompts_are_named_and_change_nothing(client: TestClient, said: dict[str, Any], message: str) -> None:
    good, _ = click(client, label="tumor", foreground=[SECOND])
    there, answers = len(entries(client)), model_of(client, "balls").answers
    answer = ask(client, **said)
    assert answer.status_code == 422
    assert message in answer.json()["detail"]
    assert (len(entries(client)), model_of(client, "balls").answers) == (there, answers)
    assert np.array_equal(click(client, label="tumor", foreground=[SECOND])[0], good)


@pytest.mark.parametrize(
    "text", ['{"foreground": [[NaN, 1, 1]]}', '{"foreground": [[1e999, 1, 1]]}', "[[1, 2, 3]]", "{"]
)
def test_json_that_is_none_is_refused(client: TestClient, text: str) -> None:
    answer = client.post("/infer/balls", params={"image": IMAGE}, data={"params": text})
    assert answer.status_code == 422


def test_a_prompt_of_a_kind_that_the_model_does_not_take(client: TestClient) -> None:
    _, error = click(client, "strokes", label="a", foreground=[FIRST], status=422)
    assert "strokes takes prompts of the kind scribble, got click" in error["detail"]


def test_an_image_that_is_not_there_or_was_deleted(client: TestClient) -> None:
    assert click(client, image="nobody", foreground=[FIRST], status=404)
    path = Path(client.app.state.workplace.config.studies) / "gone.nii.gz"  # type: ignore[attr-defined]
    click(client, image="gone", foreground=[FIRST])
    path.unlink()
    assert ask(client, image="gone", foreground=[FIRST, SECOND]).status_code == 404
    assert ask(client, foreground=[FIRST]).status_code == 200


def test_a_changed_image_is_looked_at_anew(client: TestClient) -> None:
    studies = Path(client.app.state.workplace.config.studies)  # type: ignore[attr-defined]
    before, _ = click(client, image="moved", label="tumor")
    write_balls(studies / "moved.nii.gz", shift=2)
    after, _ = click(client, image="moved", label="tumor")
    assert np.array_equal(np.roll(before, 2, axis=2), after)


def test_an_uploaded_image_is_answered_and_not_remembered(client: TestClient, tmp_path: Path) -> None:
    there = len(entries(client))
    with write_balls(tmp_path / "mine.nii.gz").open("rb") as file:
        params = json.dumps({"foreground": [FIRST], "start": "nothing", "label": "tumor", "result_compress": False})
        answer = client.post("/infer/balls", data={"params": params}, files={"file": ("mine.nii.gz", file)})
    assert answer.status_code == 200
    assert read(answer)[1][FIRST[2], FIRST[1], FIRST[0]] == 1
    assert len(entries(client)) == there


def test_the_image_of_a_session_is_clicked_on_like_any_other(client: TestClient, tmp_path: Path) -> None:
    with write_balls(tmp_path / "mine.nii.gz").open("rb") as file:
        session = client.put("/session/", files={"files": ("mine.nii.gz", file)}).json()["session_id"]
    model, query = model_of(client, "balls"), {"session_id": session}
    one, _ = click(client, image="", query=query, label="tumor", start="nothing", foreground=[FIRST])
    before = model.answers
    two, _ = click(client, image="", query=query, label="tumor", start="nothing", foreground=[FIRST, SECOND])
    assert model.answers == before + 1
    assert one.sum() < two.sum()


def strokes(client: TestClient, segments: dict[str, Any], *, shape: Any = None, **said: Any) -> Any:
    """Send a label map as Slicer does when strokes were drawn."""
    voxels = np.zeros(shape or bright().shape, np.uint8)
    for value, mask in enumerate(segments.values(), 1):
        if shape is None:
            voxels[mask] = value
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    path = Path(client.app.state.workplace.config.cache) / "drawn.nii.gz"  # type: ignore[attr-defined]
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(np.ascontiguousarray(voxels.T), affine), path)
    info = [{"name": name, "id": value} for value, name in enumerate(segments, 1)]
    params = {"roi": [], "label_info": info, "selected_label_name": "tumor", "result_compress": False, **said}
    files = {"label": ("drawn.nii.gz", path.read_bytes())}
    return client.post("/infer/strokes", params={"image": IMAGE}, data={"params": json.dumps(params)}, files=files)


def box(k: int, j: int, i: int) -> Any:
    mask = np.zeros(bright().shape, bool)
    mask[k, j : j + 2, i : i + 2] = True
    return mask


def test_strokes_change_the_segment_that_is_shown(client: TestClient) -> None:
    shown = box(1, 2, 2) | box(1, 10, 10)
    layers = {"tumor": shown, "background_scribbles": box(1, 10, 10), "foreground_scribbles": box(4, 4, 4)}
    shown = shown & ~layers["background_scribbles"]  # a label map has room for one of them
    said, voxels = read(strokes(client, layers))
    assert said["label_names"] == {"tumor": 1}
    assert said["segments"]["tumor"]["start"] == "shown"
    assert np.array_equal(voxels > 0, shown | box(4, 4, 4))
    answers = model_of(client, "strokes").answers
    more = layers | {"tumor": voxels > 0, "foreground_scribbles": box(4, 4, 4) | box(5, 6, 6)}
    said, voxels = read(strokes(client, more))
    assert model_of(client, "strokes").answers == answers + 1
    assert said["prompts"] == 1, "the strokes that were drawn on replace those before"


def test_strokes_after_a_clearing_keep_what_the_ones_before_them_made(client: TestClient) -> None:
    _, first = read(strokes(client, {"tumor": box(1, 2, 2), "foreground_scribbles": box(4, 4, 4)}))
    _, second = read(strokes(client, {"tumor": first > 0, "foreground_scribbles": box(5, 6, 6)}))
    assert np.array_equal(second > 0, box(1, 2, 2) | box(4, 4, 4) | box(5, 6, 6))


def test_strokes_from_nothing_and_for_a_segment_that_is_not_drawn_yet(client: TestClient) -> None:
    layers = {"background_scribbles": box(1, 10, 10), "foreground_scribbles": box(4, 4, 4)}
    said, voxels = read(strokes(client, layers, selected_label_name="new"))
    assert said["label_names"] == {"new": 1}
    assert np.array_equal(voxels > 0, box(4, 4, 4))


def test_a_label_map_that_is_none_of_strokes(client: TestClient) -> None:
    answer = strokes(client, {"foreground_scribbles": None}, shape=(3, 24, 32))
    assert answer.status_code == 422
    assert "does not lie on its image's voxels" in answer.json()["detail"]
    answer = strokes(client, {"tumor": box(1, 2, 2)})
    assert answer.status_code == 422
    assert "foreground_scribbles" in answer.json()["detail"]
    answer = strokes(client, {"foreground_scribbles": box(1, 1, 1)}, label_info="x")
    assert answer.status_code == 422


def test_other_models_still_take_no_label(client: TestClient) -> None:
    assert ask(client, "threshold", label="tumor").status_code == 422
    files = {"label": ("drawn.nii.gz", b"123")}
    answer = client.post("/infer/threshold", params={"image": IMAGE}, data={"params": "{}"}, files=files)
    assert answer.status_code == 422
    assert "takes no label" in answer.json()["detail"]
    assert ask(client, "nobody", foreground=[FIRST]).status_code == 404


def save(client: TestClient, mark: Any, tmp_path: Path) -> str:
    """Save a label as a viewer does, and return its version."""
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    nibabel.save(nibabel.Nifti1Image(np.ascontiguousarray(mark.astype(np.uint8).T), affine), tmp_path / "x.nii.gz")
    files = {"label": ("x.nii.gz", (tmp_path / "x.nii.gz").read_bytes())}
    params = {"params": json.dumps({"label_info": [{"name": "Tumor", "idx": 1}]})}
    answer = client.put("/datastore/label", params={"image": "labelled"}, data=params, files=files)
    version: str = answer.json()["version"]
    return version


def test_it_can_begin_with_the_label_that_was_saved_last(client: TestClient, tmp_path: Path) -> None:
    assert ask(client, image="labelled", start="label").status_code == 404
    saved = []
    for mark in (box(1, 2, 2), box(2, 2, 2)):
        saved.append(save(client, mark, tmp_path))
        mask, said = click(client, image="labelled", label="tumor", start="label")
        assert np.array_equal(mask, mark), "the newest one"
        assert said["segments"]["tumor"]["start"] == saved[-1]
        mask, _ = click(client, image="labelled", label="tumor", start="label", foreground=[FIRST])
        assert mask[FIRST[2], FIRST[1], FIRST[0]]


def test_a_label_that_is_saved_meanwhile_is_shown_and_takes_no_clicks_away(client: TestClient, tmp_path: Path) -> None:
    first = save(client, box(1, 2, 2), tmp_path)
    assert np.array_equal(click(client, image="labelled", label="tumor", start="label")[0], box(1, 2, 2))
    second = save(client, box(3, 2, 2), tmp_path)
    mask, said = click(client, image="labelled", label="tumor", start="label")
    assert np.array_equal(mask, box(3, 2, 2)), "nobody clicked yet: what is shown is the newest"
    one, said = click(client, image="labelled", label="tumor", start="label", foreground=[FIRST])
    assert said["segments"]["tumor"]["start"] == second
    save(client, box(4, 2, 2), tmp_path)
    both, said = click(client, image="labelled", label="tumor", start="label", foreground=[FIRST, SECOND])
    assert said["segments"]["tumor"]["start"] == second != first, "a further click goes onto what is shown"
    assert not (one & ~both).any()
