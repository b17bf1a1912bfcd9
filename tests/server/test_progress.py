"""``/learning``: the figures of a loop that ran, who may see them, and what a server says before anything ran."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from tests.learning_state import ROUNDS, SCRIPT, write_efforts, write_versions
from tests.serving import config_for, in_process, token_of
from tests.tiny import EXTRA_MODELS, write_studies
from tumorseg.access.types import Role
from tumorseg.config import AppConfig
from tumorseg.io.write import nifti_bytes
from tumorseg.types import Segmentation


@pytest.fixture
def config(tmp_path: Path) -> AppConfig:
    write_studies(tmp_path / "studies", ("p0", "p1", "p2"))
    models = {"models": "tiny", "extra_models": EXTRA_MODELS, "device": "cpu"}
    return config_for(tmp_path / "studies", tmp_path, labels=tmp_path / "labels", train_after=10, **models)


@pytest.fixture
def cards(config: AppConfig, tmp_path: Path) -> list[Any]:
    cards = write_versions(config.state, tmp_path / "made")
    write_efforts(tmp_path / "labels", cards)
    return cards


@pytest.fixture
def client(config: AppConfig) -> Iterator[TestClient]:
    with in_process(config) as client:
        yield client


def summary(client: TestClient, token: str = "") -> Any:
    answer = client.get("/learning/summary", headers={"Authorization": f"Bearer {token}"} if token else {})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_before_anything_ran_every_figure_is_none_and_no_version_but_the_shipped_one(client: TestClient) -> None:
    said = summary(client)
    assert {name: said["cases"][name] for name in ("images", "labelled", "left", "new_labels", "train_after")} == {
        "images": 3,
        "labelled": 0,
        "left": 3,
        "new_labels": 0,
        "train_after": 10,
    }
    assert (said["training"], said["rounds"], said["annotators"], said["trainers"]) == (None, [], [], ["tiny"])
    (model,) = said["models"]
    assert [(version["id"], version["serves"]) for version in model["versions"]] == [("shipped", True)]
    assert (model["forecast"], model["outlook"]) == (None, "No forecast yet (0 of 5 measurements).")


def test_the_versions_stand_with_their_figures_the_newest_first(cards: list[Any], client: TestClient) -> None:
    (model,) = summary(client)["models"]
    assert [version["id"] for version in model["versions"]] == [*(card.id for card in reversed(cards)), "shipped"]
    newest, refused = model["versions"][0], model["versions"][3]
    assert (newest["serves"], model["serving"]) == (True, newest["id"])
    assert newest["dice"] == pytest.approx(ROUNDS[-1][0])
    # Four patients at -0.09, -0.02, 0.04 and 0.07 of the mean.
    assert newest["dice"] - 0.09 <= newest["low"] < newest["dice"] < newest["high"] <= newest["dice"] + 0.07
    assert (newest["labelled_cases"], newest["trained_on"], newest["validated_on"]) == (48, 36, 12)
    assert newest["difference"]["difference"] == pytest.approx(0.02)
    assert (refused["status"], refused["serves"]) == ("refused", False)
    assert refused["why"].startswith("refused: Dice changes by -0.330")


def test_what_more_labels_bring_comes_from_what_served(cards: list[Any], client: TestClient) -> None:
    (model,) = summary(client)["models"]
    labels, scores = zip(*model["measurements"], strict=True)
    assert labels == (8, 16, 24, 32, 40, 48)
    assert np.allclose(scores, [0.52, 0.64, 0.64, 0.71, 0.745, 0.765])  # not the refused one's own
    assert model["outlook"].startswith("The next 10 labels are expected to bring +")
    assert model["forecast"]["low"] <= model["forecast"]["gain"] <= model["forecast"]["high"]


def test_rounds_are_those_of_the_versions_that_proposed(cards: list[Any], client: TestClient) -> None:
    rounds = summary(client)["rounds"]
    assert [found["id"] for found in rounds] == [card.id for card in cards if card.status == "published"]
    assert [found["cases"] for found in rounds] == [8] * 5
    assert [found["unchanged"] for found in rounds] == [number / 8 for number in range(5)]
    assert [found["dice"] for found in rounds] == sorted(found["dice"] for found in rounds)


def test_a_label_that_is_saved_shows_in_the_round_of_its_version(client: TestClient, tmp_path: Path) -> None:
    answer = client.post("/infer/tiny", params={"image": "p0", "output": "json"})
    version = answer.json()["version"]
    assert client.post("/infer/tiny", params={"image": "p0"}).status_code == 200
    place = client.app.state.workplace.datastore.places.of("p0")  # type: ignore[attr-defined]
    file = nifti_bytes(Segmentation(np.zeros(place.grid.shape, np.uint8), place.grid, {}), compress=True)
    assert summary(client)["rounds"] == []
    saved = client.put("/datastore/label", params={"image": "p0"}, files={"label": ("a.nii.gz", file)})
    assert saved.status_code == 200, saved.text
    client.app.state.workplace.effort.wait(60)  # type: ignore[attr-defined]
    said = summary(client)
    assert [(found["model"], found["version"], found["cases"]) for found in said["rounds"]] == [("tiny", version, 1)]
    assert (said["cases"]["labelled"], said["cases"]["left"]) == (1, 2)
    assert [person["name"] for person in said["annotators"]] == ["local"]


def test_only_reviewers_learn_who_did_what(cards: list[Any], config: AppConfig, client: TestClient) -> None:
    tokens = {role: token_of(config.state, role.title, role) for role in (Role.VIEWER, Role.ANNOTATOR, Role.REVIEWER)}
    refused = client.get("/learning/summary", headers={"Authorization": f"Bearer {tokens[Role.VIEWER]}"})
    assert refused.status_code == 403
    plain, full = summary(client, tokens[Role.ANNOTATOR]), summary(client, tokens[Role.REVIEWER])
    assert "annotators" not in plain
    assert SCRIPT not in str(plain)
    assert "rita" not in str(plain)
    assert [person["name"] for person in full["annotators"]] == [SCRIPT, "ann"]
    assert full["models"][0]["versions"][0]["made_by"] == "rita"
    assert plain["rounds"] == full["rounds"]


def test_a_damaged_pointer_does_not_take_the_page_away(cards: list[Any], config: AppConfig, client: TestClient) -> None:
    summary(client)
    (config.state / "weights" / "tiny" / "current.json").write_text("{")
    (model,) = summary(client)["models"]
    assert model["serving"].startswith("unknown: ")
    assert str(config.state) not in model["serving"]
    assert len(model["versions"]) == len(cards) + 1


def test_the_page_and_its_scripts_are_served_under_the_policy_and_are_linked(
    config: AppConfig, client: TestClient
) -> None:
    page = client.get("/learning")
    assert "script-src 'self'" in page.headers["content-security-policy"]
    for path, kind in (
        ("/common.js", "text/javascript"),
        ("/learning/charts.js", "text/javascript"),
        ("/learning/progress.js", "text/javascript"),
        ("/learning/progress.css", "text/css"),
    ):
        assert path in page.text
        assert client.get(path).headers["content-type"].startswith(kind)
    assert 'href="/learning"' in client.get("/").text
    assert 'href="/learning"' in client.get("/review").text
    client.headers["Authorization"] = f"Bearer {token_of(config.state, 'vic', Role.VIEWER)}"
    for path in ("/", "/review"):  # who may not open it is not sent there
        assert 'href="/learning"' not in client.get(path).text
    assert client.get("/learning").status_code == 403
