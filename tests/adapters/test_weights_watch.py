"""A running server follows the version that serves: whoever changed it, without dropping a request, and back again."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from tests import tiny
from tests.adapters.inference.stand_in import Probe
from tests.serving import config_for, in_process
from tumorseg.adapters import models, weights_watch
from tumorseg.adapters.engine import Engine
from tumorseg.adapters.models import ModelPool
from tumorseg.adapters.sources import FileSource
from tumorseg.adapters.weights_change import WeightsDesk
from tumorseg.config import AppConfig
from tumorseg.errors import InputError, UnavailableError
from tumorseg.io import read_study
from tumorseg.models.base import Model
from tumorseg.models.slicewise import WEIGHTS
from tumorseg.versions.files import digest_of
from tumorseg.versions.store import VersionStore
from tumorseg.versions.types import SHIPPED, VersionCard

PATIENCE_S = 120


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AppConfig:
    monkeypatch.setattr(weights_watch, "PERIOD_S", 0.02)
    tiny.write_studies(tmp_path / "studies", ["p0"])
    extra = {"models": "tiny,untrained", "extra_models": tiny.EXTRA_MODELS}
    return config_for(tmp_path / "studies", tmp_path, device="cpu", **extra)


def publish(config: AppConfig, file: Path, model: str = "tiny") -> VersionCard:
    """Publish as a training in another process does: past the server."""
    store, sha256 = VersionStore(config.state / "weights"), digest_of(file)
    card = VersionCard(
        store.new_id(model, sha256), model, sha256, "2026-11-21T12:00:00+00:00", "ann", "trained", None, "published"
    )
    return store.publish(card, file)


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.02)


def answered(client: TestClient, model: str = "tiny") -> str:
    """Return the version that answers."""
    answer = client.post(f"/infer/{model}", params={"image": "p0", "output": "json"})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["version"])


def serves(client: TestClient, version: str) -> Callable[[], bool]:
    """Ask whether a version answers by now."""
    return lambda: answered(client) == version[:12]


def segmented(client: TestClient) -> tuple[bytes, bytes, bytes]:
    """Return the file that a viewer gets, and the voxels and probabilities of what the served model finds."""
    file = client.post("/infer/tiny", params={"image": "p0", "output": "image"})
    assert file.status_code == 200, file.text
    place = client.app.state.workplace  # type: ignore[attr-defined]
    found = place.engine.models.get("tiny").predict(read_study(Path(place.config.studies) / "p0.nii.gz"))
    assert isinstance(found.segmentation.probability, np.ndarray)
    return file.content, found.segmentation.voxels.tobytes(), found.segmentation.probability.tobytes()


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == weights_watch.THREAD]


def test_rollback_restores_the_older_answers_bit_for_bit(config: AppConfig, tmp_path: Path) -> None:
    store = VersionStore(config.state / "weights")
    with in_process(config) as client:
        answers = {SHIPPED: (answered(client), *segmented(client))}
        for seed in (1, 2):
            card = publish(config, tiny.first_weights(tmp_path / f"{seed}.safetensors", seed))
            until(serves(client, card.sha256))
            answers[card.id] = (answered(client), *segmented(client))
            assert store.by_weights("tiny", answered(client)) == card  # a label's provenance leads to the card
        assert len({probability for *_, probability in answers.values()}) == 3
        for version in (*reversed(answers), *answers):
            store.rollback("tiny", version, "root")
            until(serves(client, answers[version][0]))
            assert (answered(client), *segmented(client)) == answers[version]
            assert client.get("/info/").json()["models"]["tiny"]["version"] == answers[version][0]


def test_no_request_is_dropped_while_versions_come_and_go(config: AppConfig, tmp_path: Path) -> None:
    files = [tiny.first_weights(tmp_path / f"{seed}.safetensors", seed) for seed in (1, 2, 3)]
    stop = threading.Event()
    seen: list[str] = []
    wrong: list[str] = []

    def last(version: str) -> Callable[[], bool]:
        return lambda: bool(wrong) or seen[-1:] == [version]

    def ask(client: TestClient) -> None:
        while not stop.is_set():
            answer = client.post("/infer/tiny", params={"image": "p0", "output": "json"})
            seen.append(answer.json()["version"]) if answer.status_code == 200 else wrong.append(answer.text)

    with in_process(config) as client:
        first = answered(client)
        workers = [threading.Thread(target=ask, args=(client,)) for _ in range(3)]
        for worker in workers:
            worker.start()
        try:
            for file in files:
                card = publish(config, file)
                until(last(card.sha256[:12]))
            VersionStore(config.state / "weights").rollback("tiny", SHIPPED, "root")
            until(last(first))
        finally:
            stop.set()
            for worker in workers:
                worker.join(PATIENCE_S)
    assert not wrong
    assert set(seen) == {first, *(digest_of(file)[:12] for file in files)}


def test_a_version_that_cannot_be_loaded_is_said_once_and_the_old_one_goes_on(
    config: AppConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with in_process(config) as client:
        before = answered(client)
        with caplog.at_level(logging.WARNING):
            publish(config, WEIGHTS / "unet.safetensors")  # of another network
            until(lambda: "the one before goes on" in caplog.text)
        time.sleep(10 * weights_watch.PERIOD_S)  # were it tried again, it would be said again
        assert caplog.text.count("the one before goes on") == 1
        assert answered(client) == before
        card = publish(config, tiny.first_weights(tmp_path / "1.safetensors", 1))
        until(serves(client, card.sha256))


def test_a_damaged_pointer_leaves_what_serves(config: AppConfig, caplog: pytest.LogCaptureFixture) -> None:
    with in_process(config) as client:
        before = answered(client)
        folder = config.state / "weights" / "tiny"
        folder.mkdir(parents=True)
        (folder / "current.json").write_text("{")
        until(lambda: "current.json of tiny is damaged" in caplog.text)
        assert answered(client) == before
        assert client.get("/info/").json()["models"]["tiny"]["version"] == before


def test_the_first_version_of_a_model_without_weights_is_offered(config: AppConfig, tmp_path: Path) -> None:
    with in_process(config) as client:
        assert set(client.get("/info/").json()["models"]) == {"tiny"}
        assert client.post("/infer/untrained", params={"image": "p0"}).status_code == 503
        publish(config, tiny.first_weights(tmp_path / "1.safetensors", 1), "untrained")
        until(lambda: "untrained" in client.get("/info/").json()["models"])
        assert answered(client, "untrained")


def test_an_upload_is_a_version_and_other_servers_follow(config: AppConfig, tmp_path: Path) -> None:
    file = tiny.first_weights(tmp_path / "1.safetensors", 1)
    with in_process(config) as one, in_process(config) as other:
        assert answered(one) == answered(other)
        assert one.put("/model/tiny", files={"file": ("w.safetensors", file.read_bytes())}).status_code == 200
        assert answered(one) == digest_of(file)[:12]
        until(serves(other, digest_of(file)))
    (card,) = VersionStore(config.state / "weights").list("tiny")
    assert (card.how, card.status, card.parent, card.sha256) == ("uploaded", "published", SHIPPED, digest_of(file))
    assert card.made_by
    assert "not compared" in card.why


def test_the_thread_ends_with_its_server(config: AppConfig) -> None:
    before = len(threads())
    with in_process(config) as client:
        client.get("/info/")
        assert len(threads()) == before + 1
    until(lambda: len(threads()) == before)


# --- the pool itself


def test_a_version_is_warm_before_it_is_switched_to(config: AppConfig, tmp_path: Path) -> None:
    served: list[tuple[str, str]] = []

    def warm(name: str, model: Model) -> None:
        served.append((pool.get(name).version, model.version))

    pool = ModelPool(config, warm)
    old = pool.get("tiny").version
    assert not pool.follow("tiny")
    card = publish(config, tiny.first_weights(tmp_path / "1.safetensors", 1))
    assert pool.answering("tiny") == SHIPPED  # whatever the pointer says by now
    assert pool.follow("tiny")
    assert pool.answering("tiny") == card.id
    assert served == [(old, card.sha256[:12])]
    assert pool.get("tiny").version == card.sha256[:12]
    assert not pool.follow("tiny")
    assert len(served) == 1


def test_one_that_fails_on_its_first_slice_is_not_switched_to(config: AppConfig, tmp_path: Path) -> None:
    tried: list[str] = []

    def fail(name: str, model: Model) -> None:
        tried.append(model.version)
        raise RuntimeError("out of order")

    pool = ModelPool(config, fail)
    old = pool.get("tiny")
    publish(config, tiny.first_weights(tmp_path / "1.safetensors", 1))
    for _ in range(3):  # whoever asks is told, also who asks after the watch did
        with pytest.raises(InputError, match="choose another version"):
            pool.follow("tiny")
    assert pool.get("tiny") is old
    assert len(tried) == 1  # tried again when the pointer changes, and after half a minute
    publish(config, tiny.first_weights(tmp_path / "2.safetensors", 2))
    with pytest.raises(InputError):
        pool.follow("tiny")
    assert len(set(tried)) == 2


def test_what_was_published_before_the_start_serves_from_the_first_request(config: AppConfig, tmp_path: Path) -> None:
    card = publish(config, tiny.first_weights(tmp_path / "1.safetensors", 1))
    pool = ModelPool(config)
    assert not pool.follow("tiny")  # nothing is loaded that nobody asked for
    assert pool.get("tiny").version == card.sha256[:12]
    assert not pool.follow("tiny")


def test_requests_go_on_while_a_version_is_made_ready(config: AppConfig, tmp_path: Path) -> None:
    warming, go_on = threading.Event(), threading.Event()

    def slow(name: str, model: Model) -> None:
        warming.set()
        assert go_on.wait(PATIENCE_S)

    pool = ModelPool(config, slow)
    old = pool.get("tiny")
    publish(config, tiny.first_weights(tmp_path / "1.safetensors", 1))
    following = threading.Thread(target=pool.follow, args=("tiny",))
    following.start()
    try:
        assert warming.wait(PATIENCE_S)
        assert pool.get("tiny") is old  # would wait for ever, were a lock held
        assert pool.describe()["tiny"]["version"] == old.version
    finally:
        go_on.set()
        following.join(PATIENCE_S)
    assert pool.get("tiny") is not old


@pytest.mark.parametrize("fault", [UnavailableError("16 inferences wait already"), MemoryError(), OSError("the share")])
def test_a_fault_that_passes_does_not_keep_a_version_from_serving(
    config: AppConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    """It was tried once, and never again until the pointer was changed once more."""
    monkeypatch.setattr(models, "RETRY_S", 0.05)
    tried: list[str] = []

    def warm(name: str, model: Model) -> None:
        tried.append(model.version)
        if len(tried) <= 2:
            raise fault

    pool = ModelPool(config, warm)
    old = pool.get("tiny")
    card = publish(config, tiny.first_weights(tmp_path / "1.safetensors", 1))
    told: list[Exception] = []

    def follows() -> bool:
        try:
            if pool.follow("tiny"):
                assert pool.get("tiny") is not old
        except (InputError, UnavailableError) as error:
            assert pool.get("tiny") is old
            told.append(error)
        return pool.loaded("tiny") == card.sha256[:12]

    until(follows)
    assert tried == [card.sha256[:12]] * 3
    assert len(set(map(id, told))) == 1  # the same words, said once
    assert not pool.follow("tiny")


def test_what_a_request_loaded_is_not_replaced_by_what_was_begun_before_it(config: AppConfig, tmp_path: Path) -> None:
    """The first request loads the newest version while an older one is made ready: the older one came on top."""
    first = publish(config, tiny.first_weights(tmp_path / "1.safetensors", 1))
    pool = ModelPool(config)
    second = publish(config, tiny.first_weights(tmp_path / "2.safetensors", 2))
    store, build = pool.versions, pool.build
    store.rollback("tiny", first.id, "root")
    built: list[str] = []

    def meanwhile(name: str, weights: Path | None) -> Model:
        model = build(name, weights)
        built.append(model.version)
        if len(built) == 1:  # made ready, and not in its place yet
            store.rollback(name, second.id, "root")
            assert pool.get(name).version == second.sha256[:12]
        return model

    pool.build = meanwhile  # type: ignore[method-assign]
    assert pool.follow("tiny")
    assert pool.get("tiny").version == second.sha256[:12]
    assert pool.answering("tiny") == second.id
    assert not pool.follow("tiny")
    assert built == [first.sha256[:12], second.sha256[:12]]


def test_a_busy_server_rolls_back_in_its_turn(config: AppConfig, tmp_path: Path) -> None:
    """With a full queue it got 503, and the version that was to go served on."""
    engine = Engine(replace(config, max_waiting=1), FileSource(tmp_path / "studies"))
    pool, gate = engine.models, threading.Event()
    try:
        publish(config, tiny.first_weights(tmp_path / "1.safetensors", 1))
        bad = pool.get("tiny").version
        held = Probe("held", gate=gate)
        engine.queue.submit(held, None)
        assert held.started.wait(PATIENCE_S)
        engine.queue.submit(Probe("next"), None)
        with pytest.raises(UnavailableError, match="wait already"):
            engine.queue.submit(Probe("late"), None)
        desk = WeightsDesk(engine)
        rolling = threading.Thread(target=desk.rollback, args=("tiny", SHIPPED, "root"))
        rolling.start()
        until(lambda: len(engine.queue._board.jobs) == 3 or not rolling.is_alive())
        assert pool.get("tiny").version == bad  # it goes on until the other one was tried
        gate.set()
        rolling.join(PATIENCE_S)
        assert pool.answering("tiny") == pool.versions.serving("tiny") == SHIPPED
    finally:
        gate.set()
        engine.close()
