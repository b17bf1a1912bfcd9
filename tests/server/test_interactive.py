"""One mask, prompt by prompt: there and back, in parts, saved with the way to it, and nobody else's."""

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
from tests.serving import in_process, raw_voxels, token_of
from tumorseg.access.types import Role
from tumorseg.adapters.interactive import sessions, steps
from tumorseg.interactive.log import PromptLog, mask_sha256
from tumorseg.interactive.prompts import Click

AFFINE = np.diag([-1.0, -1.0, 1.0, 1.0])


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with in_process(
        clickable(tmp_path_factory.mktemp("masks"), IMAGE, "gone", "moved", "kept", "viewer", "drawn", "replaced")
    ) as running:
        yield running


def place(client: TestClient) -> Any:
    return client.app.state.workplace  # type: ignore[attr-defined]


def begin(client: TestClient, **said: Any) -> dict[str, Any]:
    body = {"image": IMAGE, "model": "balls", "start": "nothing", **said}
    answer = client.post("/interactive/", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def send(client: TestClient, ident: str, *prompts: Any, **query: Any) -> Any:
    plain = {"params": json.dumps({"result_compress": False}), **query}
    return client.post(f"/interactive/{ident}/prompts", params=plain, json={"prompts": list(prompts)})


def positive(at: list[int]) -> dict[str, Any]:
    return {"click": at}


def plain(client: TestClient, ident: str) -> Any:
    answer = client.get(f"/interactive/{ident}/mask", params={"params": json.dumps({"result_compress": False})})
    assert answer.status_code == 200, answer.text
    return raw_voxels(answer.content).reshape(bright().shape) > 0


def test_prompts_undo_and_redo_lead_to_the_same_masks(client: TestClient) -> None:
    session = begin(client)
    assert (session["prompts"], session["undo"], session["redo"], session["label"]) == (0, False, False, "tumor")
    assert session["shape"] == [32, 24, 6]
    ident = session["id"]
    said, one = read(send(client, ident, positive(FIRST)))
    assert said["session"]["sha256"] == said["sha256"] == mask_sha256(one > 0)
    said, two = read(send(client, ident, positive(SECOND), {"click": DARK, "positive": False}))
    assert said["session"]["prompts"] == 3
    query = {"params": json.dumps({"result_compress": False})}
    client.post(f"/interactive/{ident}/undo", params=query)
    said, back = read(client.post(f"/interactive/{ident}/undo", params=query))
    assert np.array_equal(back, one)
    assert (said["session"]["prompts"], said["session"]["redo"]) == (1, True)
    client.post(f"/interactive/{ident}/redo", params=query)
    said, again = read(client.post(f"/interactive/{ident}/redo", params=query))
    assert np.array_equal(again, two)
    assert client.post(f"/interactive/{ident}/redo").status_code == 409
    assert np.array_equal(plain(client, ident), two > 0)
    assert client.get(f"/interactive/{ident}").json()["sha256"] == mask_sha256(two > 0)


def test_nothing_to_undo_is_a_conflict(client: TestClient) -> None:
    answer = client.post(f"/interactive/{begin(client)['id']}/undo")
    assert answer.status_code == 409
    assert "nothing" in answer.json()["detail"] or "no prompt" in answer.json()["detail"]


def test_the_changed_box_alone_says_where_it_lies(client: TestClient, tmp_path: Path) -> None:
    ident = begin(client)["id"]
    answer = send(client, ident, positive(SECOND), changed="box", output="image", params="{}")
    (tmp_path / "box.nrrd").write_bytes(answer.content)
    import SimpleITK as sitk

    box = sitk.ReadImage(str(tmp_path / "box.nrrd"))
    whole = plain(client, ident)
    (tmp_path / "whole.nrrd").write_bytes(client.get(f"/interactive/{ident}/mask").content)
    full = sitk.ReadImage(str(tmp_path / "whole.nrrd"))
    start = full.TransformPhysicalPointToIndex(box.GetOrigin())
    i, j, k = start
    part = sitk.GetArrayFromImage(box) > 0
    pasted = np.zeros_like(whole)
    pasted[k : k + part.shape[0], j : j + part.shape[1], i : i + part.shape[2]] = part
    assert np.array_equal(pasted, whole)
    assert part.size < whole.size / 4
    json_said = send(client, ident, positive(FIRST), changed="box", output="json").json()
    assert json_said["box"]["origin"][0] <= FIRST[0] < json_said["box"]["origin"][0] + json_said["box"]["size"][0]


def test_where_nothing_changes_no_image_is_sent(client: TestClient) -> None:
    ident = begin(client)["id"]
    send(client, ident, positive(FIRST))
    answer = send(client, ident, {"click": DARK, "positive": False}, changed="box")
    assert answer.json()["box"] is None
    assert answer.json()["session"]["prompts"] == 2


def test_neighbouring_slices_follow_and_are_undone_like_any_prompt(client: TestClient) -> None:
    ident = begin(client, start="auto")["id"]
    before = plain(client, ident)
    body, query = {"slice": 2, "first": 1, "last": 3}, {"output": "json"}
    answer = client.post(f"/interactive/{ident}/propagate", json=body, params=query)
    assert answer.status_code == 200, answer.text
    assert answer.json()["notes"][-1] == "followed to slice 1 (told) and 3 (told)"
    assert client.get(f"/interactive/{ident}").json()["prompts"] == 1
    client.post(f"/interactive/{ident}/undo")
    assert np.array_equal(plain(client, ident), before)
    answer = client.post(f"/interactive/{ident}/propagate", json={"slice": 9})
    assert answer.status_code == 422
    assert "0..5" in answer.json()["detail"]


def test_the_log_reads_back(client: TestClient) -> None:
    ident = begin(client)["id"]
    send(client, ident, positive(FIRST), {"box": [[20, 10, 1], [30, 20, 5]]})
    log = PromptLog.from_json(client.get(f"/interactive/{ident}/log").text)
    assert (log.image, log.model, log.start, len(log.steps)) == (IMAGE, "balls", "nothing", 2)
    assert log.sha256 == mask_sha256(plain(client, ident))


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ([], "at least one"),
        ("[]", "list of at least one"),
        ({"click": FIRST}, "list of at least one"),
        ([positive([32, 0, 0])], "expected i in 0..31"),
        ([positive([1, 2])], "three whole numbers"),
        ([positive([1.5, 2, 3])], "whole number"),
        ([positive(["1", 2, 3])], "whole number"),
        ([positive(FIRST)] * 10_000, "at most 1000"),
        ([positive(FIRST), {"click": [99, 0, 0]}], "outside"),
        ([{"scribble": {"runs": [[1, 5]]}}], "runs over the 4608 voxels"),
        ([{"scribble": {"runs": [[2, 4608]]}}], "1, 0 or -1"),
        ([{"circle": 3}], "expected a prompt"),
        ([{"extreme": [[1, 1, 1]]}], "extreme"),
    ],
)
def test_bad_prompts_are_named_and_change_nothing(client: TestClient, prompts: Any, message: str) -> None:
    ident = begin(client)["id"]
    send(client, ident, positive(SECOND))
    before = client.get(f"/interactive/{ident}").json()
    answer = client.post(f"/interactive/{ident}/prompts", json={"prompts": prompts})
    assert answer.status_code == 422
    assert message in answer.json()["detail"]
    assert client.get(f"/interactive/{ident}").json() == before


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"image": ""}, 422),
        ({"session_id": "0" * 32}, 422),
        ({"image": "", "session_id": "0" * 32}, 404),
        ({"image": "nobody"}, 404),
        ({"model": "resunet"}, 404),
        ({"model": "nobody"}, 404),
        ({"label": ""}, 422),
        ({"label": "x" * 10_000}, 422),
        ({"label": "a\u0000"}, 422),
        ({"model": "anything", "label": "background"}, 422),
        ({"model": "anything", "label": "foreground_scribbles"}, 422),
        ({"start": "tomorrow"}, 422),
        ({"start": "label", "tag": "never"}, 404),
        ({"start": "label", "tag": "../x"}, 422),
    ],
)
def test_a_mask_that_cannot_begin(client: TestClient, said: dict[str, Any], status: int) -> None:
    there = len(place(client).interactive.entries)
    answer = client.post("/interactive/", json={"image": IMAGE, "model": "balls", **said})
    assert answer.status_code == status, answer.text
    assert len(place(client).interactive.entries) == there


def test_prompts_of_which_a_later_one_fails_change_nothing(client: TestClient) -> None:
    ident = begin(client)["id"]
    send(client, ident, positive(SECOND))
    client.post(f"/interactive/{ident}/undo")
    before = client.get(f"/interactive/{ident}").json()
    answer = send(client, ident, positive(FIRST), {"propagate": {"slice": 5}})
    assert answer.status_code == 422
    assert "holds nothing" in answer.json()["detail"]
    assert client.get(f"/interactive/{ident}").json() == before
    assert before["redo"], "what was undone can still be brought back"


@pytest.mark.parametrize("path", ["prompts", "undo", "redo", "propagate"])
def test_a_form_that_is_not_given_is_refused_before_anything_is_done(client: TestClient, path: str) -> None:
    ident = begin(client, start="auto")["id"]
    before = client.get(f"/interactive/{ident}").json()
    body = {"prompts": {"prompts": [positive(FIRST)]}, "propagate": {"slice": 2}}.get(path)
    answer = client.post(f"/interactive/{ident}/{path}", params={"output": "dicom_seg"}, json=body)
    assert answer.status_code == 422
    assert "DICOM SEG" in answer.json()["detail"]
    assert client.get(f"/interactive/{ident}").json() == before


def test_an_answer_is_of_its_own_request_whatever_came_after(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    ident, plain_answer = begin(client)["id"], steps.answer

    def late(entry: Any, *args: Any, **kwargs: Any) -> Any:
        entry.session.add(Click((SECOND[0], SECOND[1], SECOND[2])))  # somebody's next prompt is answered before
        return plain_answer(entry, *args, **kwargs)

    monkeypatch.setattr(steps, "answer", late)
    said, voxels = read(send(client, ident, positive(FIRST)))
    assert said["sha256"] == said["session"]["sha256"] == mask_sha256(voxels > 0)
    assert said["session"]["prompts"] == said["prompts"] == 1


def test_a_form_that_is_none_of_a_mask_is_refused_before_the_prompt_counts(client: TestClient) -> None:
    ident = begin(client)["id"]
    answer = send(client, ident, positive(FIRST), params=json.dumps({"result_extension": ".json"}))
    assert answer.status_code == 422
    assert client.get(f"/interactive/{ident}").json()["prompts"] == 0


def test_an_image_that_is_deleted_or_changed_meanwhile(client: TestClient) -> None:
    studies = Path(place(client).config.studies)
    gone, moved = begin(client, image="gone")["id"], begin(client, image="moved")["id"]
    (studies / "gone.nii.gz").unlink()
    write_balls(studies / "moved.nii.gz", shift=2)
    assert send(client, gone, positive(FIRST)).status_code == 404
    answer = send(client, moved, positive(FIRST))
    assert answer.status_code == 409
    assert "changed" in answer.json()["detail"]


def test_an_ended_session_says_so_and_one_that_never_was_does_too(client: TestClient) -> None:
    ident = begin(client)["id"]
    assert client.delete(f"/interactive/{ident}").status_code == 200
    for answer in (send(client, ident, positive(FIRST)), client.get(f"/interactive/{ident}")):
        assert answer.status_code == 410
        assert "ended" in answer.json()["detail"]
    assert client.get("/interactive/" + "0" * 32).status_code == 404


def test_left_alone_it_ends(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    ident, entries = begin(client)["id"], place(client).interactive.entries
    now = entries._clock()
    monkeypatch.setattr(entries, "_clock", lambda: now + 31 * 60)
    assert client.get(f"/interactive/{ident}").status_code == 410


def test_of_very_many_the_one_used_longest_ago_makes_way(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MOST_OF_ONE", 3)
    idents = [begin(client)["id"] for _ in range(3)]
    assert client.get(f"/interactive/{idents[0]}").status_code == 200
    begin(client)
    assert [client.get(f"/interactive/{ident}").status_code for ident in idents] == [200, 410, 200]


def saved(client: TestClient, ident: str, **query: Any) -> dict[str, Any]:
    answer = client.post(f"/interactive/{ident}/save", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def values(client: TestClient, image: str) -> tuple[Any, dict[str, int]]:
    """The newest final label of an image, and its classes."""
    store = place(client).datastore.labels
    path = store.path(image, "final")
    info = store.info(image, "final").get("label_info", [])
    return np.asarray(nibabel.load(path).dataobj).T, {one["name"]: one["idx"] for one in info}


def test_saving_keeps_the_mask_the_log_and_the_other_segments(client: TestClient) -> None:
    first = begin(client, image="kept", model="anything", label="cyst")["id"]
    send(client, first, positive(FIRST))
    saved(client, first)
    second = begin(client, image="kept", label="tumor")["id"]
    send(client, second, positive(SECOND))
    kept = saved(client, second)
    assert not kept["no_lesion"]
    voxels, classes = values(client, "kept")
    assert classes.keys() == {"cyst", "tumor"}
    assert np.array_equal(voxels == classes["tumor"], plain(client, second))
    assert np.array_equal(voxels == classes["cyst"], plain(client, first))
    record = client.get(f"/labels/kept/versions/{kept['version']}/prompts").json()
    (segment,) = record["segments"]
    assert (segment["log"]["label"], len(segment["log"]["steps"])) == ("tumor", 1)
    version = client.get(f"/labels/kept/versions/{kept['version']}").json()
    assert version["model"] == "balls"
    alone = saved(client, second, others=False)
    assert values(client, "kept")[1].keys() == {"tumor"}
    assert alone["version"] != kept["version"]


def test_a_label_that_somebody_saved_meanwhile_is_not_written_over_unseen(client: TestClient, tmp_path: Path) -> None:
    first = put(client, "drawn", bright(), tmp_path)["version"]
    ident = begin(client, image="drawn", start="label")
    assert ident["start"] == first
    second = put(client, "drawn", ~bright(), tmp_path)["version"]
    for others in (True, False):
        answer = client.post(f"/interactive/{ident['id']}/save", params={"parent": first, "others": others})
        assert answer.status_code == 409, answer.text
    assert client.post(f"/interactive/{ident['id']}/save", headers={"If-Match": f'"{first}"'}).status_code == 409
    assert saved(client, ident["id"], parent=second)["version"] not in (first, second)


def test_strokes_that_were_saved_along_are_no_segment_to_keep(client: TestClient, tmp_path: Path) -> None:
    drawn = bright().astype(np.uint8)
    drawn[0, 0, :5], drawn[0, 1, :5] = 2, 3
    put(client, "kept", drawn, tmp_path, "foreground_scribbles", "cyst")
    saved(client, begin(client, image="kept")["id"])
    voxels, classes = values(client, "kept")
    assert classes.keys() == {"cyst"}
    assert np.array_equal(voxels > 0, drawn == 3)


def test_an_empty_mask_says_no_lesion(client: TestClient) -> None:
    ident = begin(client, image="moved")["id"]
    assert saved(client, ident, tag="second")["no_lesion"]


def test_the_image_of_a_session_has_no_label(client: TestClient, tmp_path: Path) -> None:
    with write_balls(tmp_path / "mine.nii.gz").open("rb") as file:
        session = client.put("/session/", files={"files": ("mine.nii.gz", file)}).json()["session_id"]
    ident = begin(client, image="", session_id=session)["id"]
    assert send(client, ident, positive(FIRST)).status_code == 200
    answer = client.post(f"/interactive/{ident}/save")
    assert answer.status_code == 422
    assert "download the mask" in answer.json()["detail"]


def put(client: TestClient, image: str, mask: Any, tmp_path: Path, *names: str) -> dict[str, Any]:
    """Save a label as Slicer does; its classes are "tumor" and those named."""
    path = tmp_path / "label.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.ascontiguousarray(mask.astype(np.uint8).T), AFFINE), path)
    named = [{"name": name, "idx": value} for value, name in enumerate(("tumor", *names), 1)]
    params = json.dumps({"label_info": named, "client_id": "user-xyz"})
    files = {"label": ("label.nii.gz", path.read_bytes())}
    answer = client.put("/datastore/label", params={"image": image}, data={"params": params}, files=files)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_label_that_a_viewer_saves_has_its_clicks_too(client: TestClient, tmp_path: Path) -> None:
    mask, said = click(client, image="viewer", label="tumor", foreground=[FIRST], client_id="user-xyz", start="nothing")
    kept = put(client, "viewer", mask, tmp_path)
    record = client.get(f"/labels/viewer/versions/{kept['version']}/prompts").json()
    (segment,) = record["segments"]
    assert segment["log"]["steps"][-1]["sha256"] == said["sha256"]


def test_a_label_has_no_clicks_of_somebody_else_or_of_an_image_that_was_replaced(
    client: TestClient, tmp_path: Path
) -> None:
    click(client, image="replaced", label="tumor", foreground=[FIRST, SECOND], client_id="user-xyz", start="nothing")
    write_balls(Path(place(client).config.studies) / "replaced.nii.gz", shift=2)
    click(client, image="replaced", label="tumor", foreground=[DARK], client_id="somebody", start="nothing")
    mask, _ = click(client, image="replaced", label="tumor", foreground=[FIRST], client_id="user-xyz", start="nothing")
    kept = put(client, "replaced", mask, tmp_path)
    (segment,) = client.get(f"/labels/replaced/versions/{kept['version']}/prompts").json()["segments"]
    assert [step["prompt"]["click"] for step in segment["log"]["steps"]] == [FIRST]


def test_a_label_without_any_click_has_no_prompts(client: TestClient, tmp_path: Path) -> None:
    version = put(client, "drawn", bright(), tmp_path)["version"]
    answer = client.get(f"/labels/drawn/versions/{version}/prompts")
    assert answer.status_code == 404
    assert "no prompts" in answer.json()["detail"]


def test_prompts_that_cannot_be_kept_never_fail_the_save(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mask, _ = click(client, image="viewer", label="tumor", foreground=[FIRST, SECOND], start="nothing")

    def fail(*args: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(place(client).interactive.prompts.logs, "keep", fail)
    kept = put(client, "viewer", mask, tmp_path)
    assert client.get(f"/labels/viewer/versions/{kept['version']}/prompts").status_code == 404


def test_ten_people_on_ten_studies_get_their_own(tmp_path: Path) -> None:
    names = [f"study{n}" for n in range(10)]
    with in_process(clickable(tmp_path, *names)) as client:
        for n, name in enumerate(names):
            write_balls(tmp_path / "studies" / f"{name}.nii.gz", shift=n)

        def work(n: int) -> bool:
            right = True
            for count in range(1, 4):
                points = [[(FIRST[0] + n) % 32, FIRST[1], FIRST[2]], [(SECOND[0] + n) % 32, *SECOND[1:]], DARK][:count]
                said = {"foreground": points[:2], "background": [[(DARK[0] + n) % 32, *DARK[1:]]] if count > 2 else []}
                answer = ask(client, "network" if n % 2 else "balls", names[n], start="nothing", **said)
                mask = read(answer)[1] > 0
                expected = np.roll(bright(), n, axis=2)
                right &= not (mask & ~expected).any() and all(mask[k, j, i] for i, j, k in said["foreground"])
            return right

        with ThreadPoolExecutor(10) as pool:
            assert all(pool.map(work, range(10)))
        assert place(client).interactive.nbytes() < 10 * 2**20


def test_a_mask_belongs_to_who_began_it(tmp_path: Path) -> None:
    config = clickable(tmp_path)
    ann, bob = (
        {"Authorization": f"Bearer {token_of(config.state, name, role)}"}
        for name, role in (("ann", Role.ANNOTATOR), ("bob", Role.ADMIN))
    )
    with in_process(config) as client:
        ident = client.post("/interactive/", json={"image": IMAGE, "model": "balls"}, headers=ann).json()["id"]
        for method, path in (("GET", ""), ("GET", "/mask"), ("GET", "/log"), ("POST", "/save"), ("DELETE", "")):
            assert client.request(method, f"/interactive/{ident}{path}", headers=bob).status_code == 404
        assert client.get(f"/interactive/{ident}", headers=ann).status_code == 200
        for headers in (ann, bob):
            said = {"image": IMAGE, "output": "json"}
            params = {"params": json.dumps({"foreground": [FIRST], "label": "tumor"})}
            client.post("/infer/balls", params=said, data=params, headers=headers)
        entries = client.app.state.workplace.interactive.entries  # type: ignore[attr-defined]
        assert len(entries.of(IMAGE, "ann")) == 2
        assert len(entries.of(IMAGE, "bob")) == 1
        mine = client.get("/interactive/", headers=ann).json()
        assert [one["id"] == ident for one in mine] == [False, True], "what was used last comes first"
        assert client.get("/interactive/", params={"image": "another"}, headers=ann).json() == []
        assert not {one["id"] for one in mine} & {one["id"] for one in client.get("/interactive/", headers=bob).json()}
