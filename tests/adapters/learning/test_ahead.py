"""A strategy that thinks for long answers at once: from what it chose ahead, never what is taken or has no vector."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from tumorseg.active_learning.types import EMBEDDING, Candidates, Strategy
from tumorseg.adapters.learning.ahead import FEW, Ahead

IMAGES = [f"i{number:02}" for number in range(40)]


class Thinker:
    """Chooses the last ones first, once it is allowed to."""

    def __init__(self) -> None:
        self.go, self.times, self.fail = threading.Event(), 0, False

    def __call__(self, candidates: Candidates, k: int, rng: np.random.Generator) -> np.ndarray:
        assert self.go.wait(60)
        self.times += 1
        if self.fail:
            raise RuntimeError("too hard")
        return np.arange(len(candidates))[::-1][:k]


@pytest.fixture
def thinker() -> Thinker:
    return Thinker()


@pytest.fixture
def ahead(thinker: Thinker) -> Ahead:
    return Ahead(Strategy("slow", "", thinker, frozenset({EMBEDDING})), at_once=10)


def candidates(images: list[str], unknown: str = "") -> Candidates:
    vectors = np.ones((len(images), 2))
    vectors[[image == unknown for image in images]] = np.nan
    return Candidates(tuple(images), np.zeros(len(images), int), {}, vectors, np.ones((3, 2)))


def choose(ahead: Ahead, images: list[str], state: object = 0, version: str = "1", unknown: str = "") -> str:
    rng = np.random.default_rng(0)
    return images[ahead.choose(images, candidates(images, unknown), version, state, rng)]


def test_nobody_waits_and_the_batch_is_given_one_after_the_other(ahead: Ahead, thinker: Thinker) -> None:
    assert choose(ahead, IMAGES) in IMAGES  # by lot: nothing is chosen yet
    thinker.go.set()
    ahead.close()
    assert choose(ahead, IMAGES) == "i39"
    assert choose(ahead, IMAGES[:39]) == "i38"  # somebody has the last one
    assert choose(ahead, IMAGES, unknown="i39") == "i38"
    assert thinker.times == 1  # while nothing changes nothing is thought of again


def test_a_changed_state_has_the_batch_chosen_anew_while_the_old_one_is_given(ahead: Ahead, thinker: Thinker) -> None:
    thinker.go.set()
    choose(ahead, IMAGES)
    ahead.close()
    thinker.go.clear()
    assert choose(ahead, IMAGES[:20], state=1) in IMAGES[:20]  # all of the batch are taken: by lot
    assert choose(ahead, IMAGES, state=1) == "i39"
    thinker.go.set()
    ahead.close()
    assert choose(ahead, IMAGES[:20], state=1) == "i19"
    assert thinker.times == 2


def test_what_another_version_chose_is_not_given(ahead: Ahead, thinker: Thinker) -> None:
    thinker.go.set()
    choose(ahead, IMAGES)
    ahead.close()
    thinker.go.clear()
    given = {choose(ahead, IMAGES, version="2") for _ in range(3)}
    assert given != {"i39"}
    thinker.go.set()


def test_a_failure_is_in_the_log_and_is_tried_again(
    ahead: Ahead, thinker: Thinker, caplog: pytest.LogCaptureFixture
) -> None:
    thinker.go.set()
    thinker.fail = True
    assert choose(ahead, IMAGES) in IMAGES
    ahead.close()
    assert "too hard" in caplog.text
    thinker.fail = False
    choose(ahead, IMAGES)
    ahead.close()
    assert choose(ahead, IMAGES) == "i39"


def test_few_cases_are_chosen_from_at_once(thinker: Thinker) -> None:
    thinker.go.set()
    assert choose(Ahead(Strategy("slow", "", thinker), at_once=1000), IMAGES) == "i39"


def test_nobody_waits_where_many_are_chosen_from_and_nothing_is_labelled(thinker: Thinker) -> None:
    """2,000 cases took a quarter of a second, 5,000 more than one, on the first day of a set of studies."""
    ahead = Ahead(Strategy("slow", "", thinker, frozenset({EMBEDDING})))
    many = [f"i{number}" for number in range(FEW + 1)]
    unlabelled = Candidates(tuple(many), np.zeros(len(many), int), {}, np.ones((len(many), 2)), None)
    assert ahead.choose(many, unlabelled, "1", 0, np.random.default_rng(0)) < len(many)
    assert thinker.times == 0  # the thinker is still not allowed to
    thinker.go.set()
    ahead.close()


def test_a_machine_without_a_thread_to_spare_is_tried_again(
    ahead: Ahead, thinker: Thinker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock stayed held: the strategy chose by lot until the next restart."""

    def none_left(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    thinker.go.set()
    with monkeypatch.context() as machine:
        machine.setattr(threading.Thread, "start", none_left)
        assert choose(ahead, IMAGES) in IMAGES
        ahead.close()
    choose(ahead, IMAGES)
    ahead.close()
    assert choose(ahead, IMAGES) == "i39"
