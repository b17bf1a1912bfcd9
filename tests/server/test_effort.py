"""What a label cost, over real requests: ask for a case, infer, correct, save; with every way to lose the proposal."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from starlette.testclient import TestClient

from tests.dicom.phantoms import GRIDS, sample, write_nifti
from tests.serving import config_for, in_process, token_of, tumour_mask
from tests.support import ThresholdModel
from tumorseg.access.types import Role
from tumorseg.adapters.learning.effort import EffortDesk
from tumorseg.adapters.workplace import PROPOSALS
from tumorseg.config import AppConfig
from tumorseg.geometry import Reorientation
from tumorseg.io.nrrd_write import nrrd_bytes
from tumorseg.io.write import nifti_bytes
from tumorseg.labels.efforts import Effort
from tumorseg.labels.rounds import rounds
from tumorseg.types import Segmentation

GRID = GRIDS["oblique"]
#: The stand-in marks the whole tumour of the phantom.
TUMOUR = tumour_mask(GRID)
ONE_SLICE, ONE_VOXEL = np.zeros_like(TUMOUR), np.zeros_like(TUMOUR)
ONE_SLICE[np.argwhere(TUMOUR)[0][0]] = True
ONE_VOXEL[tuple(np.argwhere(TUMOUR)[-1])] = True
WAIT_S = 60.0


class Clock:
    """Wall time that only the test moves."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def config(tmp_path: Path) -> AppConfig:
    for name in ("one", "two"):
        write_nifti(tmp_path / "studies" / f"{name}.nii.gz", GRID, sample(GRID))
    return config_for(tmp_path / "studies", tmp_path, labels=tmp_path / "labels")


@pytest.fixture
def client(config: AppConfig) -> Iterator[TestClient]:
    with in_process(config) as client:
        yield client


@pytest.fixture
def clock(client: TestClient) -> Clock:
    clock = Clock()
    desk_of(client)._clock = clock
    return clock


def desk_of(client: TestClient) -> EffortDesk:
    desk: EffortDesk = client.app.state.workplace.effort  # type: ignore[attr-defined]
    return desk


def infer(client: TestClient, image: str = "one", output: str = "all", client_id: str = "", **headers: str) -> None:
    params = {"params": json.dumps({"result_extension": ".nrrd", "client_id": client_id})}
    answer = client.post("/infer/threshold", params={"image": image, "output": output}, data=params, headers=headers)
    assert answer.status_code == 200, answer.text


def save(client: TestClient, mask: NDArray[np.bool_], image: str = "one", tag: str = "final", **said: Any) -> str:
    headers = said.pop("headers", {})
    info = {"label_info": [{"name": "tumor", "idx": 1}], **said}
    file = nifti_bytes(Segmentation(mask.astype(np.uint8), GRID, {}), compress=True)
    answer = client.put(
        "/datastore/label",
        params={"image": image, "tag": tag},
        data={"params": json.dumps(info)},
        files={"label": ("a.nii.gz", file)},
        headers=headers,
    )
    assert answer.status_code == 200, answer.text
    return str(answer.json()["version"])


def efforts(client: TestClient) -> list[Effort]:
    desk = desk_of(client)
    desk.wait(WAIT_S)
    return desk.efforts.list()


def test_a_case_that_was_given_proposed_and_corrected(client: TestClient, clock: Clock) -> None:
    given = client.post("/activelearning/first", json={"client_id": "slicer"}).json()["id"]
    clock.now += 30
    infer(client, given, client_id="slicer")
    clock.now += 60
    smaller = TUMOUR & (np.arange(GRID.shape[0]) > np.flatnonzero(TUMOUR.any(axis=(1, 2)))[0])[:, None, None]
    uid = save(client, smaller, given, client_id="slicer")
    (effort,) = efforts(client)
    gone = int(TUMOUR.sum() - smaller.sum())
    assert (effort.uid, effort.image, effort.seconds, effort.began) == (uid, given, 90.0, "answer")
    assert (effort.model, bool(effort.model_version)) == ("threshold", True)
    assert effort.edit is not None
    assert (effort.edit.changed, effort.edit.removed, effort.edit.added) == (gone, gone, 0)
    assert effort.edit.dice == pytest.approx(2 * smaller.sum() / (smaller.sum() + TUMOUR.sum()))
    assert effort.edit.ml == pytest.approx(gone * np.prod(GRID.spacing) / 1000)


def test_a_proposal_that_is_saved_as_it_is_was_accepted_in_whatever_order_its_voxels_are(client: TestClient) -> None:
    infer(client)
    turn = Reorientation((0, 2, 1), (True, False, True))
    turned = Segmentation(turn.apply(TUMOUR.astype(np.uint8)), turn.grid(GRID), {"tumor": 1})
    answer = client.put(
        "/datastore/label",
        params={"image": "one"},
        files={"label": ("a.nrrd", nrrd_bytes(turned))},
        data={"params": json.dumps({"label_info": [{"name": "what I see", "idx": 1}]})},
    )
    assert answer.status_code == 200, answer.text
    (effort,) = efforts(client)
    assert effort.edit is not None
    assert (effort.edit.unchanged, effort.edit.path, effort.edit.dice) == (True, 0, 1.0)


def test_without_a_proposal_the_time_is_kept_and_nothing_made_up(client: TestClient, clock: Clock) -> None:
    assert client.get("/datastore/image", params={"image": "one"}).status_code == 200
    clock.now += 45
    save(client, TUMOUR)
    (effort,) = efforts(client)
    assert (effort.seconds, effort.began, effort.model, effort.edit) == (45.0, "none", "", None)


def test_who_went_home_and_a_clock_that_was_set_back_give_no_time(client: TestClient, clock: Clock) -> None:
    infer(client, "one")
    infer(client, "two")
    clock.now += 3 * 3600
    save(client, TUMOUR, "one")
    clock.now -= 5 * 3600
    save(client, TUMOUR, "two")
    said = {effort.image: effort for effort in efforts(client)}
    assert [said["one"].seconds, said["two"].seconds] == [None, None]
    assert said["one"].edit is not None  # what was changed is known all the same


def test_a_case_opened_again_the_next_day_counts_from_then(client: TestClient, clock: Clock) -> None:
    infer(client)
    clock.now += 20 * 3600
    infer(client)
    clock.now += 100
    infer(client)  # once more while working: no new beginning
    clock.now += 20
    save(client, TUMOUR)
    assert [effort.seconds for effort in efforts(client)] == [120.0]


def test_after_a_restart_the_lease_says_when_it_began(client: TestClient, clock: Clock) -> None:
    place = client.app.state.workplace  # type: ignore[attr-defined]
    place.desk.leases._clock = clock
    assert place.desk.give("one", "slicer")
    clock.now += 70
    save(client, TUMOUR, client_id="slicer")
    assert [effort.seconds for effort in efforts(client)] == [70.0]


def test_a_viewer_with_an_endless_name_takes_no_memory_of_that_size(client: TestClient) -> None:
    infer(client, client_id="x" * 100_000)
    assert max(len(holder) for _, holder in desk_of(client)._begun) <= 200
    save(client, TUMOUR, client_id="x" * 100_000)
    assert [effort.began for effort in efforts(client)] == ["answer"]


def test_the_original_label_stands_in_for_an_answer(client: TestClient) -> None:
    save(client, TUMOUR, tag="original", model="older", model_version="7")
    assert efforts(client) == []  # what a model made is no work of anybody
    save(client, TUMOUR)
    (effort,) = efforts(client)
    assert (effort.began, effort.model, effort.model_version) == ("original", "older", "7")
    assert effort.edit is not None
    assert effort.edit.unchanged


def test_boxes_and_figures_alone_are_no_proposal(client: TestClient) -> None:
    infer(client, output="json")
    save(client, TUMOUR)
    assert [(effort.began, effort.edit) for effort in efforts(client)] == [("none", None)]


def test_no_lesion_is_an_answer_that_was_deleted(client: TestClient) -> None:
    infer(client)
    assert client.put("/labels/one/no-lesion").status_code == 200
    (effort,) = efforts(client)
    assert effort.edit is not None
    assert (effort.edit.dice, effort.edit.final, effort.edit.removed) == (0.0, 0, int(TUMOUR.sum()))


def test_the_same_label_sent_again_counts_once(client: TestClient) -> None:
    infer(client)
    assert save(client, TUMOUR) == save(client, TUMOUR)
    assert len(efforts(client)) == 1


def test_nobody_is_measured_by_what_another_was_given(config: AppConfig, client: TestClient) -> None:
    tokens = {name: token_of(config.state, name, Role.ANNOTATOR) for name in ("ann", "bob")}
    as_whom: Callable[[str], dict[str, str]] = lambda name: {"Authorization": f"Bearer {tokens[name]}"}  # noqa: E731
    infer(client, **as_whom("ann"))
    save(client, TUMOUR, headers=as_whom("bob"))
    save(client, np.roll(TUMOUR, 1, axis=2), headers=as_whom("ann"))
    said = {effort.author: effort for effort in efforts(client)}
    assert (said["bob"].began, said["bob"].seconds, said["bob"].edit) == ("none", None, None)
    assert said["ann"].began == "answer"
    assert said["ann"].seconds is not None


def test_who_corrects_the_label_of_another_makes_no_round_cheaper(
    config: AppConfig, client: TestClient, clock: Clock
) -> None:
    """A reviewer's last voxel counted as a case that was drawn anew within seconds."""
    people = {"ann": Role.ANNOTATOR, "rita": Role.REVIEWER}
    headers = {who: {"Authorization": f"Bearer {token_of(config.state, who, role)}"} for who, role in people.items()}
    infer(client, **headers["ann"])
    clock.now += 600
    of_ann = save(client, TUMOUR & ~ONE_SLICE, headers=headers["ann"])
    assert client.get("/datastore/image", params={"image": "one"}, headers=headers["rita"]).status_code == 200
    clock.now += 30
    of_rita = save(client, TUMOUR & ~ONE_SLICE & ~ONE_VOXEL, headers=headers["rita"])
    said = {effort.uid: effort for effort in efforts(client)}
    assert (said[of_ann].began, said[of_rita].began, said[of_rita].seconds) == ("answer", "label", 30.0)
    (found,) = rounds(said.values())
    assert (found.model, found.cases, found.seconds) == ("threshold", 1, 600)


def test_the_answer_of_a_version_that_learned_from_this_very_label_is_no_test_of_it(
    client: TestClient, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    infer(client)
    clock.now += 60
    save(client, TUMOUR & ~ONE_SLICE)
    clock.now += 60
    save(client, TUMOUR & ~ONE_SLICE & ~ONE_VOXEL)  # after the same answer: no other case
    (first,) = rounds(efforts(client))
    monkeypatch.setattr(ThresholdModel, "version", "v2")
    clock.now += 3600
    infer(client)
    clock.now += 20
    save(client, TUMOUR & ~ONE_VOXEL)
    said = efforts(client)
    assert [(effort.began, effort.model_version == "v2") for effort in said] == [
        ("answer", False),
        ("answer", False),
        ("label", True),
    ]
    assert said[-1].edit is not None  # for who wants to know
    assert rounds(said) == [first]
    assert (first.cases, first.seconds) == (1, 60)


def test_who_opens_a_label_of_their_own_again_draws_nothing_anew(client: TestClient, clock: Clock) -> None:
    assert client.get("/datastore/image", params={"image": "one"}).status_code == 200
    clock.now += 600
    save(client, TUMOUR)
    clock.now += 5
    save(client, TUMOUR & ~ONE_VOXEL)
    clock.now += 86400
    assert client.get("/datastore/image", params={"image": "one"}).status_code == 200
    clock.now += 10
    save(client, TUMOUR)
    said = efforts(client)
    assert [(effort.began, effort.seconds) for effort in said] == [("none", 600.0), ("none", None), ("label", 10.0)]
    assert [(found.cases, found.seconds) for found in rounds(said)] == [(1, 600)]


def test_a_label_that_was_removed_is_none_to_begin_with(client: TestClient, clock: Clock) -> None:
    infer(client)
    save(client, TUMOUR)
    assert client.delete("/datastore/label", params={"id": "one", "tag": "final"}).status_code == 200
    clock.now += 60
    infer(client)
    save(client, TUMOUR & ~ONE_VOXEL)
    assert [effort.began for effort in efforts(client)] == ["answer", "answer"]


def test_where_nobody_signs_in_the_time_of_a_case_counts_once(client: TestClient, clock: Clock) -> None:
    """Slicer's download says no client_id, and is a second name for the same person."""
    given = client.post("/activelearning/first", json={"client_id": "slicer"}).json()["id"]
    clock.now += 2
    assert client.get("/datastore/image", params={"image": given}).status_code == 200
    infer(client, given, client_id="slicer")
    clock.now += 298
    save(client, TUMOUR & ~ONE_SLICE, given, client_id="slicer")
    clock.now += 200
    save(client, TUMOUR, given, client_id="slicer")
    assert [effort.seconds for effort in efforts(client)] == [300.0, None]
    assert [found.seconds for found in rounds(efforts(client))] == [300]


def test_a_damaged_proposal_leaves_the_time(client: TestClient, config: AppConfig, clock: Clock) -> None:
    infer(client)
    desk_of(client).wait(WAIT_S)
    (path,) = (config.state / PROPOSALS).iterdir()
    whole = bytearray(path.read_bytes())
    middle = whole.index(b"said.npy") + 40  # what is packed there does not unpack any more
    whole[middle : middle + 20] = bytes(255 - value for value in whole[middle : middle + 20])
    path.write_bytes(whole)
    clock.now += 45
    save(client, TUMOUR)
    assert [(effort.seconds, effort.edit) for effort in efforts(client)] == [(45.0, None)]


def test_a_fault_in_comparing_leaves_the_time_and_what_was_proposed(
    client: TestClient, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*given: object) -> None:
        raise ZeroDivisionError("a fault of ours")

    monkeypatch.setattr("tumorseg.adapters.learning.effort.edit", broken)
    infer(client)
    clock.now += 45
    uid = save(client, TUMOUR)
    (effort,) = efforts(client)
    assert (effort.seconds, effort.began, effort.model, effort.edit) == (45.0, "answer", "threshold", None)
    assert f"label {uid} is not compared with its proposal\nTraceback" in caplog.text


def test_a_proposal_of_a_file_that_was_replaced_is_not_compared(client: TestClient, config: AppConfig) -> None:
    infer(client)
    other = GRIDS["axial"]
    write_nifti(Path(config.studies) / "one.nii.gz", other, sample(other))
    file = nifti_bytes(Segmentation(np.ones(other.shape, np.uint8), other, {}), compress=True)
    sent = {"label": ("a.nii.gz", file)}
    answer = client.put("/datastore/label", params={"image": "one"}, files=sent)
    assert answer.status_code == 200, answer.text
    assert [(effort.began, effort.edit) for effort in efforts(client)] == [("none", None)]


def test_a_save_does_not_fail_where_its_effort_cannot_be_kept(
    client: TestClient, config: AppConfig, caplog: pytest.LogCaptureFixture
) -> None:
    infer(client)
    efforts(client)
    shutil.rmtree(config.state / PROPOSALS)
    (config.state / PROPOSALS).write_text("no folder")
    infer(client)
    database = client.app.state.workplace.datastore.labels.history.database  # type: ignore[attr-defined]
    with database.transaction() as connection:
        connection.execute("DROP TABLE IF EXISTS efforts")
    uid = save(client, TUMOUR)
    desk_of(client).wait(WAIT_S)
    assert "the answer about one is not kept: " in caplog.text  # for want of a folder
    assert f"what label {uid} cost is not kept\nTraceback" in caplog.text  # a fault of ours
    assert client.get("/datastore/label", params={"label": "one", "tag": "final"}).status_code == 200
