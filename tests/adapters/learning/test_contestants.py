"""Which model a candidate is compared with: the one that the server answers with, wherever its weights lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import tiny
from tests.adapters.learning.own_model import write_own
from tumorseg.adapters.learning.contestants import Contestants
from tumorseg.config import AppConfig
from tumorseg.errors import InputError
from tumorseg.versions.files import digest_of
from tumorseg.versions.store import VersionStore
from tumorseg.versions.types import SHIPPED, VersionCard


def contestants(root: Path, extra: str) -> Contestants:
    tiny.write_studies(root / "studies", ("a",))
    given = {"models": extra.partition("=")[0], "extra_models": extra, "device": "cpu", "state": root / "state"}
    config = AppConfig.parse(root / "studies", {**given, "cache": root / "cache"}, environ={})
    return Contestants(config, VersionStore(config.state / "weights"), config.models[0])


def test_a_sites_own_model_serves_from_where_its_factory_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tiny.first_weights(tmp_path / "elsewhere" / "ours.safetensors", 5)
    serving = contestants(tmp_path, write_own(tmp_path, monkeypatch, weights)).serving()
    assert serving is not None
    assert (serving.name, serving.weights) == (digest_of(weights), weights)
    assert serving.make().version == serving.name[:12]


def test_a_model_that_says_nothing_of_its_weights_is_measured_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tiny.first_weights(tmp_path / "elsewhere" / "ours.safetensors", 5)
    serving = contestants(tmp_path, write_own(tmp_path, monkeypatch, weights, silent=True)).serving()
    assert serving is not None
    assert serving.weights is None
    assert serving.name == f"version {digest_of(weights)[:12]}"


def test_nothing_serves_only_where_the_model_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert contestants(tmp_path, "untrained=tests.untrained:build").serving() is None
    damaged = tmp_path / "ours.safetensors"
    damaged.write_bytes(b"no weights")
    with pytest.raises(InputError, match="no safetensors file"):
        contestants(tmp_path, write_own(tmp_path, monkeypatch, damaged)).serving()


def test_after_a_rollback_the_site_is_back_at_its_own_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = tiny.first_weights(tmp_path / "elsewhere" / "ours.safetensors", 5)
    found = contestants(tmp_path, write_own(tmp_path, monkeypatch, weights))
    store, file = VersionStore(tmp_path / "state" / "weights"), tiny.first_weights(tmp_path / "sent.safetensors", 6)
    sha256 = digest_of(file)
    card = store.publish(
        VersionCard(store.new_id("own", sha256), "own", sha256, "", "rita", "uploaded", SHIPPED, "published"), file
    )
    assert [one and one.name for one in (found.serving(), found.version(SHIPPED), found.version(card.id))] == [
        sha256,
        digest_of(weights),
        sha256,
    ]
    store.rollback("own", SHIPPED, "rita")
    serving = found.serving()
    assert serving is not None
    assert serving.weights == weights
    store.weights("own", card.id).unlink()
    assert found.version(card.id) is None
