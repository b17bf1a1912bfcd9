"""Strategies on a server: whole cases, chosen from what is stored, at once; nothing stale counts and nobody waits."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests import tiny
from tests.serving import EXTRA_MODELS, config_for
from tumorseg.access.types import Principal, Role
from tumorseg.active_learning.store import ScoreStore
from tumorseg.active_learning.types import (
    BALD,
    DETECTION_MARGIN,
    EMBEDDING,
    ENTROPY,
    FOREGROUND,
    LOCALISATION,
    MARGIN,
    TTA,
)
from tumorseg.adapters.datastore import StudyDatastore
from tumorseg.adapters.labels import LabelStore
from tumorseg.adapters.learning.pool import ScorePool
from tumorseg.adapters.learning.score import scores_path
from tumorseg.adapters.learning.states import ImageStates
from tumorseg.adapters.models import ModelPool
from tumorseg.adapters.sources import FileSource
from tumorseg.adapters.strategies import OLD_NAMES, Strategies
from tumorseg.labels.reviews import Reviews
from tumorseg.registry import DEFAULT_STRATEGY, STRATEGIES

CASES = ("a", "b", "c", "d", "e", "f")
SEGMENTATION = (ENTROPY, MARGIN, BALD, TTA)
ALL = (*STRATEGIES, *OLD_NAMES)


@dataclass
class Bench:
    """What a server has, without the server."""

    folder: Path
    source: FileSource
    models: ModelPool
    datastore: StudyDatastore
    store: ScoreStore
    pool: ScorePool
    strategies: Strategies
    asked: list[frozenset[str]]

    def score(self, values: Mapping[str, float], model: str = "tiny", version: str | None = None) -> None:
        """Keep the value of each case as every one of its columns, and as its place in a plane of vectors."""
        version = version or self.models.get(model).version
        columns = (DETECTION_MARGIN, LOCALISATION) if model == "blobs" else (*SEGMENTATION, FOREGROUND)
        for image, state in self.source.states(list(values)).items():
            value = values[image]
            vector = None if model == "blobs" else np.array([value, 0.0], np.float32)
            self.store.put(model, version, image, state, dict.fromkeys(columns, value), vector)

    def label(self, image: str) -> None:
        self.datastore.save_label(image, str(tiny.write_mask(self.folder / "l.nii.gz", tiny.study(image))), "final", {})

    def ask(self, strategy: str, *, who: str = "", leave_out: tuple[str, ...] = ()) -> dict[str, object] | None:
        request = {"strategy": strategy, "leave_out": frozenset(leave_out), "who": who}
        return self.strategies[strategy](request, self.datastore)

    def first(self, strategy: str, **more: tuple[str, ...]) -> str:
        """Return the case that somebody is given who never asked before."""
        sample = self.ask(strategy, who=f"new {np.random.default_rng().integers(1 << 60)}", **more)  # type: ignore[arg-type]
        assert sample is not None
        return str(sample["id"])


def bench(tmp_path: Path, models: str = "tiny,blobs", seed: int | None = 0) -> Bench:
    if not (tmp_path / "studies").exists():
        tiny.write_studies(tmp_path / "studies", CASES)
    extra = f"{tiny.EXTRA_MODELS},{EXTRA_MODELS}"
    config = config_for(tmp_path / "studies", tmp_path, models=models, extra_models=extra, device="cpu")
    source, pool_of_models = FileSource(tmp_path / "studies"), ModelPool(config)
    store = ScoreStore(scores_path(config.state))
    pool = ScorePool(store, ImageStates(source), pool_of_models)
    asked: list[frozenset[str]] = []
    pool.want_scores = asked.append
    datastore = StudyDatastore(source, LabelStore(tmp_path / "labels"))
    strategies = Strategies(pool, seed=seed)
    return Bench(tmp_path, source, pool_of_models, datastore, store, pool, strategies, asked)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Bench]:
    made = bench(tmp_path)
    yield made
    made.strategies.close()
    made.datastore.close()


def test_all_of_the_registry_are_offered_the_default_first(place: Bench) -> None:
    """Slicer chooses the first one of the list; OHIF's panel asks for ``random`` by name."""
    assert list(place.strategies) == [*dict.fromkeys((DEFAULT_STRATEGY, *STRATEGIES)), *OLD_NAMES]
    assert all(strategy.info()["description"] for strategy in place.strategies.values())
    assert "wisest" not in place.strategies


def test_detection_strategies_are_offered_where_a_detector_is_served(tmp_path: Path) -> None:
    made = bench(tmp_path, models="tiny")
    assert set(STRATEGIES) - set(made.strategies) == {"detection_score", "localisation"}
    assert set(bench(tmp_path, models="blobs").strategies) == {*STRATEGIES, *OLD_NAMES}


@pytest.mark.parametrize("name", ALL)
def test_on_the_first_day_every_strategy_gives_a_case(place: Bench, name: str) -> None:
    sample = place.ask(name)
    assert sample is not None
    assert sample["id"] in CASES
    assert sample["score"] is None


@pytest.mark.parametrize("models", ["untrained", "threshold"])
@pytest.mark.parametrize("name", [name for name in ALL if name not in ("detection_score", "localisation")])
def test_without_a_model_that_can_be_asked_every_strategy_gives_a_case(tmp_path: Path, name: str, models: str) -> None:
    made = bench(tmp_path, models=models)
    assert made.first(name) in CASES
    assert made.asked == []  # nobody could compute them


@pytest.mark.parametrize(
    ("name", "model"),
    [
        *((name, "tiny") for name in ("entropy", "margin", "bald", "tta", "hybrid")),
        ("detection_score", "blobs"),
        ("localisation", "blobs"),
    ],
)
def test_the_highest_score_is_given_first_and_said(place: Bench, name: str, model: str) -> None:
    place.score({"a": 0.1, "b": 0.3, "c": 0.9, "d": 0.2, "e": 0.05, "f": 0.0}, model)
    sample = place.ask(name)
    assert sample is not None
    assert sample["id"] == "c"
    assert sample["score"] == pytest.approx(0.9)
    version = place.models.get(model).version
    assert sample["scoring"] == {"model": model, "version": version, "scored": 6, "total": 6}
    assert place.asked == []


def test_scores_of_another_version_of_the_model_do_not_count(place: Bench) -> None:
    place.score({"c": 0.9}, version="of before")
    given = Counter(place.first("entropy") for _ in range(30))
    assert len(given) > 1  # by lot
    assert place.asked == [frozenset({ENTROPY})]


def test_the_score_of_an_image_that_has_changed_does_not_count(place: Bench) -> None:
    place.score({"a": 0.9, "b": 0.8, "c": 0.1})
    assert place.first("entropy") == "a"
    tiny.write_studies(place.folder / "studies", ["a"], shape=(6, 32, 48))  # after all were looked through
    sample = place.ask("entropy", who="ann")
    assert sample is not None
    assert (sample["id"], sample["score"]) == ("b", pytest.approx(0.8))
    assert place.asked[-1:] == [frozenset({ENTROPY})]


def test_missing_scores_are_asked_for_once_for_each_state_of_things(place: Bench) -> None:
    """An image that cannot be read never gets any; that must not start a scoring with every request."""
    for _ in range(3):
        place.first("clasp_pe")
        place.first("hybrid")
        place.ask("hybrid", who="ann")  # who asks again has fewer to choose from
    assert Counter(place.asked) == {frozenset({ENTROPY, FOREGROUND}): 1, frozenset({ENTROPY, EMBEDDING}): 1}
    place.score({"a": 0.5})
    for _ in range(3):
        place.first("clasp_pe")
    assert Counter(place.asked)[frozenset({ENTROPY, FOREGROUND})] == 2  # something is known now, and not yet all
    place.score(dict.fromkeys(CASES, 0.5))
    place.first("clasp_pe")
    assert Counter(place.asked)[frozenset({ENTROPY, FOREGROUND})] == 2


def test_what_is_still_missing_later_is_asked_for_again(place: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scoring that failed stored nothing, so nothing changed, and it was never asked for again."""
    place.first("entropy")
    monkeypatch.setattr("tumorseg.adapters.learning.pool.ASK_AGAIN_S", 0.0)
    place.first("entropy")
    assert place.asked == [frozenset({ENTROPY})] * 2


def test_many_scores_are_not_unpacked_anew_for_every_one_that_comes(
    place: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a scoring of 2,000 images ran, each request waited for all of them to be read again."""
    monkeypatch.setattr("tumorseg.adapters.learning.pool.MANY", len(CASES))
    place.score(dict.fromkeys(CASES, 0.5))
    before = place.pool.scored({ENTROPY})
    place.score({"a": 0.9})
    assert place.pool.scored({ENTROPY}) is before
    monkeypatch.setattr("tumorseg.adapters.learning.pool.REREAD_S", 0.0)
    assert place.first("entropy") == "a"


def test_vectors_of_what_is_labelled_are_asked_for_where_diversity_needs_them(place: Bench) -> None:
    place.label("a")
    place.score(dict.fromkeys(CASES[1:], 0.5))
    for name in ("entropy", "coreset"):
        place.first(name)
    assert place.asked == [frozenset({EMBEDDING})]


def test_random_ones_ask_for_nothing(place: Bench) -> None:
    for name in ("random", "strided", "in_order", "first"):
        place.first(name)
    assert place.asked == []


def test_a_store_that_is_damaged_stops_nobody(place: Bench, caplog: pytest.LogCaptureFixture) -> None:
    place.score(dict.fromkeys(CASES, 0.5))
    place.store.close()
    place.store.path.write_bytes(b"this was a data base " * 1000)
    with caplog.at_level(logging.WARNING):
        assert place.first("entropy") in CASES
    assert "made anew" in caplog.text


def test_a_store_that_cannot_be_read_stops_nobody(place: Bench, caplog: pytest.LogCaptureFixture) -> None:
    place.store.path.parent.parent.mkdir(parents=True, exist_ok=True)
    place.store.path.parent.write_text("a file where the folder should be")
    assert place.first("entropy") in CASES


def test_diversity_looks_away_from_what_is_labelled_and_from_what_others_label(place: Bench) -> None:
    """Two annotators who ask at once must not be given twins."""
    place.score({"a": 0.0, "b": 0.1, "c": 10.0, "d": 10.1, "e": 4.0, "f": 0.2})
    place.label("a")
    assert place.first("coreset") == "d"
    assert place.first("coreset", leave_out=("d",)) == "e"  # and not c, which looks like d
    place.label("d")
    assert place.first("coreset") == "e"


def test_labelled_cases_and_those_of_others_are_never_given(place: Bench) -> None:
    for image in ("a", "b", "c"):
        place.label(image)
    for name in place.strategies:
        assert {place.first(name, leave_out=("d",)) for _ in range(8)} <= {"e", "f"}
    assert place.ask("random", leave_out=("d", "e", "f")) is None


def test_of_three_cases_two_are_looked_for_where_the_model_sees_tumour(place: Bench) -> None:
    """Chosen one at a time, two thirds of one would always be one."""
    place.score({"a": 0.4, "b": 0.0, "c": 0.0, "d": 0.0, "e": 0.0, "f": 0.0})
    given = Counter(place.first("foreground_random") for _ in range(300))
    expected = 300 * (2 / 3 + 1 / 3 * 1 / 6)
    assert abs(given["a"] - expected) < 5 * np.sqrt(300 * 0.72 * 0.28)
    assert len(given) > 3


def test_who_asks_again_is_shown_the_next_best_and_in_order_stays_where_it_is(place: Bench) -> None:
    place.score({"a": 0.6, "b": 0.5, "c": 0.4, "d": 0.3, "e": 0.2, "f": 0.1})
    given = [place.ask("entropy", who="ann") for _ in range(7)]
    assert [sample["id"] for sample in given if sample] == [*"abcdef", "a"]
    assert [place.ask("first", who="bob")["id"] for _ in range(3)] == ["a"] * 3  # type: ignore[index]


@pytest.mark.parametrize("name", ALL)
def test_the_same_seed_gives_the_same_cases(tmp_path: Path, name: str) -> None:
    given = []
    for _ in range(2):
        made = bench(tmp_path, seed=7)
        if not given:
            made.score({image: number / 10 for number, image in enumerate(CASES)})
            made.score({image: number / 10 for number, image in enumerate(CASES)}, "blobs")
        given.append([made.ask(name, who=f"{number}")["id"] for number in range(6)])  # type: ignore[index]
    assert given[0] == given[1]


def test_progress_counts_what_is_fresh(place: Bench) -> None:
    place.score({"a": 0.1, "b": 0.3})
    place.score({"c": 0.1}, version="of before")
    version = place.models.get("tiny").version
    assert place.pool.progress(CASES) == {"model": "tiny", "version": version, "scored": 2, "total": 6}


def test_no_model_no_progress(tmp_path: Path) -> None:
    assert bench(tmp_path, models="threshold").pool.progress(CASES) == {}


@pytest.mark.parametrize("name", ["in_order", "random", "entropy"])
def test_a_case_whose_only_label_was_rejected_is_offered_again(place: Bench, name: str) -> None:
    """No strategy ever gave it again, and no training learned from it."""
    for image in CASES:
        place.label(image)
    assert place.ask(name) is None
    assert place.datastore.get_unlabeled_images() == []
    assert place.datastore.status()["completed"] == len(CASES)
    history = place.datastore.labels.history
    head = history.head("c", "final")
    assert head is not None
    Reviews(history.database).add(head, "reject", Principal("rita", Role.REVIEWER, "token"), "not the tumour")
    assert place.first(name) == "c"
    assert place.datastore.get_unlabeled_images() == ["c"]
    said = place.datastore.status()
    assert (said["completed"], said["label_tags"]) == (len(CASES) - 1, {"final": len(CASES)})
    mask = tiny.write_mask(place.folder / "again.nii.gz", tiny.study("c"), 1 - tiny.study("c").mask)
    place.datastore.save_label("c", str(mask), "final", {})
    assert place.ask(name) is None
