"""What every strategy must keep, whatever it chooses by; runs over every entry of the registry."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tumorseg.active_learning.types import (
    BALD,
    DETECTION_MARGIN,
    EMBEDDING,
    ENTROPY,
    FOREGROUND,
    LOCALISATION,
    MARGIN,
    TTA,
    Candidates,
)
from tumorseg.errors import InputError, NotFoundError
from tumorseg.registry import STRATEGIES, load_strategy

COLUMNS = (ENTROPY, MARGIN, BALD, TTA, FOREGROUND, DETECTION_MARGIN, LOCALISATION)


def pool(patients: int = 4, slices: int = 5, seed: int = 0) -> Candidates:
    rng = np.random.default_rng(seed)
    count = patients * slices
    return Candidates(
        groups=tuple(f"p{number}" for number in range(patients) for _ in range(slices)),
        positions=np.tile(np.arange(slices), patients),
        scores={name: rng.random(count) for name in COLUMNS},
        embeddings=rng.normal(size=(count, 3)),
        labelled=rng.normal(size=(2, 3)),
        progress=0.5,
    )


def chosen(name: str, candidates: Candidates, k: int, seed: int = 1) -> list[int]:
    return load_strategy(name).select(candidates, k, np.random.default_rng(seed)).tolist()


@pytest.fixture(params=sorted(STRATEGIES))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_it_is_called_what_it_is_registered_as(name: str) -> None:
    strategy = load_strategy(name)
    assert strategy.name == name
    assert strategy.description
    assert strategy.needs <= {*COLUMNS, EMBEDDING}


@pytest.mark.parametrize("k", [1, 7, 20])
def test_as_many_different_indices_as_asked_for(name: str, k: int) -> None:
    found = chosen(name, pool(), k)
    assert len(found) == len(set(found)) == k
    assert set(found) <= set(range(20))


def test_more_than_there_are_gives_all_once(name: str) -> None:
    assert sorted(chosen(name, pool(), 1000)) == list(range(20))


def test_none_asked_for_or_none_there(name: str) -> None:
    assert chosen(name, pool(), 0) == []
    empty = Candidates((), np.empty(0, int), {c: np.empty(0) for c in COLUMNS}, np.empty((0, 3)), np.empty((0, 3)))
    assert chosen(name, empty, 5) == []


def test_a_negative_number_is_an_error(name: str) -> None:
    with pytest.raises(InputError, match="-1"):
        chosen(name, pool(), -1)


def test_one_candidate(name: str) -> None:
    assert chosen(name, pool(1, 1), 3) == [0]


def test_the_same_generator_gives_the_same_choice(name: str) -> None:
    assert chosen(name, pool(), 6) == chosen(name, pool(), 6)


def test_the_global_generator_is_neither_read_nor_moved(name: str) -> None:
    np.random.seed(1)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = chosen(name, pool(), 6)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
    np.random.seed(2)  # noqa: NPY002
    assert chosen(name, pool(), 6) == first


def test_cold_start_without_scores_and_vectors(name: str) -> None:
    cold = replace(pool(), scores={}, embeddings=None, labelled=None, progress=0.0)
    found = chosen(name, cold, 8)
    assert len(set(found)) == 8


def test_nothing_is_labelled_yet(name: str) -> None:
    assert len(set(chosen(name, replace(pool(), labelled=np.empty((0, 3))), 8))) == 8
    assert len(set(chosen(name, replace(pool(), labelled=None), 8))) == 8


def test_ties_are_broken_and_none_is_chosen_twice(name: str) -> None:
    same = replace(pool(), scores={c: np.full(20, 0.5) for c in COLUMNS}, embeddings=np.ones((20, 3)))
    assert len(set(chosen(name, same, 12))) == 12


def test_scores_without_any_difference_from_zero(name: str) -> None:
    zero = replace(pool(), scores={c: np.zeros(20) for c in COLUMNS}, embeddings=np.zeros((20, 3)))
    assert sorted(chosen(name, zero, 20)) == list(range(20))


def test_unscored_candidates_come_after_scored_ones_or_by_lot_but_never_twice(name: str) -> None:
    part = pool()
    scores = {c: np.where(np.arange(20) < 5, np.nan, values) for c, values in part.scores.items()}
    vectors = np.array(part.embeddings)
    vectors[:5] = np.nan
    found = chosen(name, replace(part, scores=scores, embeddings=vectors), 20)
    assert sorted(found) == list(range(20))
    ranked = {"entropy", "margin", "bald", "tta", "detection_score", "localisation", "coreset", "typiclust", "hybrid"}
    if name in ranked:
        assert set(found[:15]) == set(range(5, 20))


def test_all_unscored_is_the_cold_start(name: str) -> None:
    blank = replace(pool(), scores={c: np.full(20, np.nan) for c in COLUMNS}, embeddings=np.full((20, 3), np.nan))
    assert len(set(chosen(name, blank, 9))) == 9


def test_what_it_is_given_stays_as_it_was(name: str) -> None:
    scores = {c: np.random.default_rng(3).random(20) for c in COLUMNS}
    vectors, labelled = np.random.default_rng(4).random((20, 3)), np.ones((2, 3))
    copies = {c: values.copy() for c, values in scores.items()}, vectors.copy(), labelled.copy()
    chosen(name, replace(pool(), scores=scores, embeddings=vectors, labelled=labelled), 7)
    assert all((scores[c] == copies[0][c]).all() for c in COLUMNS)
    assert (vectors == copies[1]).all()
    assert (labelled == copies[2]).all()
    scores[ENTROPY][0] = 0.25  # the caller's own array is still writable


def test_whole_cases_are_candidates_too(name: str) -> None:
    cases = replace(pool(20, 1), positions=np.zeros(20, int))
    assert len(set(chosen(name, cases, 6))) == 6


def test_it_scales_to_a_pool_of_a_hospital(name: str) -> None:
    assert len(set(chosen(name, pool(100, 25), 32))) == 32


def test_an_unknown_strategy_lists_the_known_ones() -> None:
    with pytest.raises(NotFoundError, match="clasp_pe"):
        load_strategy("best")


@pytest.mark.parametrize(
    "change",
    [
        {"positions": np.zeros(3)},
        {"scores": {ENTROPY: np.zeros(3)}},
        {"embeddings": np.zeros((3, 2))},
        {"labelled": np.zeros((2, 9))},
        {"progress": 1.5},
    ],
)
def test_candidates_that_do_not_fit_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(InputError):
        replace(pool(), **change)


def test_what_a_strategy_sees_cannot_be_written_to() -> None:
    with pytest.raises(ValueError, match="read-only"):
        pool().scores[ENTROPY][0] = 1.0
