"""The next case is given to one annotator at a time, as MONAI Label's clients ask for it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests import tiny
from tests.dicom.phantoms import GRIDS, sample, write_nifti
from tests.serving import config_for, in_process
from tumorseg.active_learning.store import ScoreStore
from tumorseg.adapters.learning.score import scores_path

CASES = ("a", "b", "c")


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    for name in CASES:
        write_nifti(tmp_path / "studies" / f"{name}.nii.gz", GRIDS["axial"], sample(GRIDS["axial"]))
    with in_process(config_for(tmp_path / "studies", tmp_path, labels=tmp_path / "labels")) as client:
        yield client


def ask(client: TestClient, who: str, strategy: str = "first") -> Any:
    answer = client.post(f"/activelearning/{strategy}", json={"client_id": who})
    assert answer.status_code == 200
    return answer


def save(client: TestClient, image: str, who: str, tag: str = "final") -> None:
    file = client.get("/datastore/image", params={"image": image}).content
    saved = client.put(
        "/datastore/label",
        params={"image": image, "tag": tag},
        data={"params": f'{{"client_id": "{who}"}}'},
        files={"label": ("a.nii.gz", file)},
    )
    assert saved.status_code == 200, saved.text


def test_nobody_is_given_what_somebody_else_works_on(client: TestClient) -> None:
    """MONAI Label reserves nothing: two annotators who ask get the same case."""
    assert [ask(client, who).json()["id"] for who in ("ann", "bob", "cat")] == ["a", "b", "c"]
    refused = ask(client, "dan")
    assert refused.json() == {}
    assert refused.headers["X-Tumorseg-Next"] == "all-leased"


def test_many_at_once_are_given_different_cases(client: TestClient) -> None:
    with ThreadPoolExecutor(3) as pool:
        given = list(pool.map(lambda who: ask(client, who, "random").json()["id"], ("ann", "bob", "cat")))
    assert sorted(given) == list(CASES)


def test_who_asks_again_gives_the_one_before_back(client: TestClient) -> None:
    seen = {ask(client, "ann", "random").json()["id"] for _ in range(40)}
    assert seen == set(CASES)  # passing a case over is possible
    assert len(client.get("/labels/").json()["leases"]) == 1  # and gathers nothing


def test_who_comes_back_finds_their_case(client: TestClient) -> None:
    assert ask(client, "ann").json()["id"] == "a"
    assert ask(client, "bob").json()["id"] == "b"
    assert ask(client, "ann").json()["id"] == "a"


def test_a_final_label_ends_the_lease_and_another_tag_does_not(client: TestClient) -> None:
    assert ask(client, "ann").json()["id"] == "a"
    save(client, "a", "ann", tag="draft")
    assert client.get("/labels/a/lease").json()["holder"] == "ann"
    save(client, "a", "ann")
    assert client.get("/labels/a/lease").json() is None
    assert ask(client, "ann").json()["id"] == "b"


def test_when_everything_is_labelled_it_says_so(client: TestClient) -> None:
    for case in CASES:
        save(client, case, "ann")
    answer = ask(client, "ann")
    assert answer.json() == {}
    assert answer.headers["X-Tumorseg-Next"] == "all-labelled"


def test_a_client_without_a_name_and_one_with_a_strange_one(client: TestClient) -> None:
    assert client.post("/activelearning/first").json()["id"] == "a"
    assert client.post("/activelearning/first", json={"client_id": 5}).json()["id"] == "a"
    assert client.post("/activelearning/first", json={"client_id": "x" * 1000}).status_code == 422
    assert (
        client.post(
            "/activelearning/first",
            content=b'{"client_id": "\\ud83d"}',
            headers={"Content-Type": "application/json"},
        ).status_code
        == 422
    )


def test_the_answer_says_by_what_a_case_was_chosen(client: TestClient) -> None:
    """No model of this server can be asked for scores: by lot, and the answer says so."""
    given = ask(client, "ann", "entropy").json()
    assert given["id"] in CASES
    assert given["score"] is None
    assert given["scoring"] == {}
    assert {"name", "checksum", "strategy"} <= set(given)


def test_two_who_ask_at_once_for_the_best_case_are_given_the_two_best(tmp_path: Path) -> None:
    tiny.write_studies(tmp_path / "studies", CASES)
    served = {"models": "tiny", "extra_models": tiny.EXTRA_MODELS, "device": "cpu"}
    with in_process(config_for(tmp_path / "studies", tmp_path, labels=tmp_path / "labels", **served)) as client:
        place = client.app.state.workplace  # type: ignore[attr-defined]
        version, store = place.engine.models.get("tiny").version, ScoreStore(scores_path(place.config.state))
        for image, state in place.source.states(CASES).items():
            worth = {"a": 0.1, "b": 0.8, "c": 0.9}[image]
            store.put("tiny", version, image, state, {"entropy": worth}, None)
        with ThreadPoolExecutor(2) as pool:
            given = list(pool.map(lambda who: ask(client, who, "entropy").json(), ("ann", "bob")))
        assert sorted(one["score"] for one in given) == [0.8, 0.9]
        assert {one["id"] for one in given} == {"b", "c"}
        assert given[0]["scoring"]["version"] == version
