"""What is asked of a training arrives as the server means it, in MONAI Label's words and in ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.serving import config_for
from tumorseg.adapters.learning.train_params import MOST_EPOCHS, train_config, train_request
from tumorseg.config import AppConfig
from tumorseg.errors import InputError


@pytest.fixture
def config(tmp_path: Path) -> AppConfig:
    return config_for(tmp_path, tmp_path, train_minutes=20)


def test_nothing_said_is_what_the_server_was_set_up_for(config: AppConfig) -> None:
    usual = {"from": "serving", "minutes": 20.0, "epochs": None}
    assert train_request(None, config) == train_request({}, config) == usual
    assert train_request(train_config(config), config) == usual  # what Slicer sends back of its table


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"pretrained": False}, {"from": "scratch"}),
        ({"pretrained": "false"}, {"from": "scratch"}),
        ({"from": "scratch"}, {"from": "scratch"}),
        ({"from": ["scratch", "serving"]}, {"from": "scratch"}),
        ({"from": "serving", "pretrained": False}, {"from": "serving"}),
        ({"max_epochs": 7}, {"epochs": 7}),
        ({"max_epochs": "7"}, {"epochs": 7}),
        ({"max_epochs": ""}, {"epochs": None}),  # a viewer's table sends an empty text for what is unset
        ({"minutes": 2.5}, {"minutes": 2.5}),
        ({"device": "cuda:7", "dataset": ["a"], "client_id": "x", "model": "../../x"}, {}),
    ],
)
def test_what_is_said(said: dict[str, Any], expected: dict[str, Any], config: AppConfig) -> None:
    assert train_request(said, config) == {"from": "serving", "minutes": 20.0, "epochs": None, **expected}


@pytest.mark.parametrize(
    "said",
    [
        {"minutes": 21},
        {"minutes": 0},
        {"minutes": -1},
        {"minutes": float("nan")},
        {"minutes": 10**400},
        {"minutes": "soon"},
        {"max_epochs": -1},
        {"max_epochs": 1.5},
        {"max_epochs": MOST_EPOCHS + 1},
        {"max_epochs": 10**400},
        {"max_epochs": True},
        {"from": "elsewhere"},
        {"from": []},
        {"pretrained": {"a": 1}},
    ],
)
def test_what_cannot_be_is_refused_in_words(said: dict[str, Any], config: AppConfig) -> None:
    with pytest.raises(InputError, match=r"expected|should be|Input") as caught:
        train_request(said, config)
    assert next(iter(said)) in str(caught.value)
