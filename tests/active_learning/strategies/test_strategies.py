"""Each strategy on a case small enough to know the answer."""

from __future__ import annotations

import numpy as np
import pytest

from tumorseg.active_learning.strategies import clasp_pe
from tumorseg.active_learning.types import BALD, ENTROPY, FOREGROUND, Candidates
from tumorseg.registry import load_strategy


def make(groups: str, positions: list[int], **known: object) -> Candidates:
    return Candidates(tuple(groups), np.array(positions), **known)  # type: ignore[arg-type]


def pick(name: str, candidates: Candidates, k: int, seed: int = 0) -> list[int]:
    return load_strategy(name).select(candidates, k, np.random.default_rng(seed)).tolist()


@pytest.mark.parametrize(
    ("name", "column"),
    [("entropy", "entropy"), ("margin", "margin"), ("bald", BALD), ("tta", "tta"), ("localisation", "localisation")],
)
def test_the_highest_score_comes_first(name: str, column: str) -> None:
    candidates = make("abc", [0, 0, 0], scores={column: np.array([0.1, 0.9, 0.5])})
    assert pick(name, candidates, 3) == [1, 2, 0]


def test_a_direct_neighbour_waits_though_it_scores_second() -> None:
    candidates = make("aaab", [4, 5, 9, 0], scores={ENTROPY: np.array([1.0, 0.9, 0.2, 0.1])})
    assert pick("entropy", candidates, 3) == [0, 2, 3]
    assert pick("entropy", candidates, 4) == [0, 2, 3, 1]


def test_in_order_goes_through_patients() -> None:
    assert pick("in_order", make("bbaa", [1, 0, 1, 0]), 3) == [3, 2, 1]


def test_strided_leaves_equal_gaps() -> None:
    found = sorted(pick("strided", make("a" * 12, list(range(12))), 4, seed=5))
    assert set(np.diff(found)) == {3}


def test_two_of_three_show_tumour() -> None:
    shown = np.array([1.0] * 10 + [0.0] * 90)
    candidates = make("a" * 100, list(range(100)), scores={FOREGROUND: shown})
    counts = [sum(i < 10 for i in pick("foreground_random", candidates, 12, seed)) for seed in range(20)]
    assert min(counts) >= 8
    assert np.mean(counts) < 10  # the last third is of everything, mostly without tumour
    plain = [sum(i < 10 for i in pick("random", candidates, 12, seed)) for seed in range(20)]
    assert np.mean(plain) < 4


def test_fewer_with_tumour_than_wanted_are_filled_up() -> None:
    candidates = make("a" * 6, list(range(6)), scores={FOREGROUND: np.array([1.0, 0, 0, 0, 0, 0])})
    assert 0 in pick("foreground_random", candidates, 5)


def test_coreset_takes_the_farthest_and_then_the_next_farthest() -> None:
    points = np.array([[0.0], [1.0], [10.0], [6.0]])
    candidates = make("abcd", [0] * 4, embeddings=points, labelled=np.array([[0.0]]))
    assert pick("coreset", candidates, 4) == [2, 3, 1, 0]


def test_typiclust_takes_the_middle_of_the_groups_without_label() -> None:
    rng = np.random.default_rng(0)
    # On the unit circle, where the strategy looks: three groups of different size, one of them labelled.
    angles = np.concatenate(
        [[0.0], rng.uniform(-0.1, 0.1, 20), [2.0], rng.uniform(1.9, 2.1, 10), rng.normal(4, 0.05, 8)]
    )
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    candidates = make("a" * 40, list(range(0, 80, 2)), embeddings=points, labelled=points[32:33])
    found = pick("typiclust", candidates, 2)
    assert sorted(int(i >= 21) + int(i >= 32) for i in found) == [0, 1]
    assert all(abs(angles[i] - (0 if i < 21 else 2)) < 0.06 for i in found)


def test_hybrid_prefers_uncertain_and_far_to_either_alone() -> None:
    candidates = make(
        "abcd",
        [0] * 4,
        scores={ENTROPY: np.array([0.9, 0.8, 0.7, 0.0])},
        embeddings=np.array([[0.1], [5.0], [0.2], [5.5]]),
        labelled=np.array([[0.0]]),
    )
    assert pick("hybrid", candidates, 1) == [1]
    assert pick("entropy", candidates, 1) == [0]
    assert pick("coreset", candidates, 1) == [3]


def test_clasp_pe_is_nearly_by_lot_first_and_by_score_last() -> None:
    scores = np.linspace(0.1, 1.0, 50)
    early, late = (
        np.mean(
            [
                np.mean(
                    pick(
                        "clasp_pe",
                        make("a" * 50, list(range(0, 100, 2)), scores={ENTROPY: scores}, progress=progress),
                        5,
                        seed,
                    )
                )
                for seed in range(40)
            ]
        )
        for progress in (0.0, 1.0)
    )
    assert late > 44  # the five highest have a mean index of 47
    assert 27 < early < 40  # in proportion to the score: neither by lot (24.5) nor the highest
    assert clasp_pe.beta(0.5) == pytest.approx(10.0)


def test_clasp_pe_covers_the_rare_class() -> None:
    entropy = np.array([0.9] * 40 + [0.2] * 10)
    foreground = np.array([0.0] * 40 + [0.3] * 10)
    candidates = make("a" * 50, list(range(0, 100, 2)), scores={ENTROPY: entropy, FOREGROUND: foreground}, progress=1.0)
    assert sum(i >= 40 for i in pick("clasp_pe", candidates, 9)) == 6
    assert sum(i >= 40 for i in pick("entropy", candidates, 9)) == 0
