"""Scores by hand, and that no lesion wins by its size."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, zoom

from tumorseg.active_learning.scoring import (
    LEAST_REGION,
    bald_map,
    case_score,
    disagreement_map,
    entropy_map,
    margin_map,
    slice_scores,
)
from tumorseg.active_learning.types import BALD, ENTROPY, FOREGROUND, MARGIN, TTA
from tumorseg.errors import InputError

ALL = (ENTROPY, MARGIN, BALD, TTA)


def test_entropy_by_hand() -> None:
    looks = np.array([[0.5, 0.0, 1.0, 0.25]])
    assert entropy_map(looks) == pytest.approx([1.0, 0.0, 0.0, 0.811278], abs=1e-6)
    assert entropy_map(np.array([[0.0], [1.0]])) == pytest.approx([1.0])  # of the mean, not the mean of entropies


def test_margin_by_hand() -> None:
    assert margin_map(np.array([[0.5, 0.0, 1.0, 0.25]])) == pytest.approx([1.0, 0.0, 0.0, 0.5])


def test_bald_is_high_where_looks_contradict_and_zero_where_each_is_unsure() -> None:
    assert bald_map(np.array([[0.0, 0.5, 0.2], [1.0, 0.5, 0.2]])) == pytest.approx([1.0, 0.0, 0.0], abs=1e-9)
    assert bald_map(np.array([[0.25], [0.75]])) == pytest.approx([1 - 0.811278], abs=1e-6)


def test_disagreement_by_hand() -> None:
    assert disagreement_map(np.array([[0.0, 0.4], [1.0, 0.4]])) == pytest.approx([1.0, 0.0])
    assert disagreement_map(np.array([[0.0], [0.0], [0.0], [1.0]])) == pytest.approx([0.75])


def test_a_slice_by_hand() -> None:
    looks = np.zeros((1, 2, 8, 8))
    looks[0, 0, :4, :4] = 0.5  # 16 voxels of one bit
    assert slice_scores(ENTROPY, looks, least=16) == pytest.approx([0.5, 0.0])
    assert slice_scores(ENTROPY, looks, least=0.0 + 1e-12)[0] == pytest.approx(1.0)
    assert slice_scores(FOREGROUND, looks) == pytest.approx([0.25, 0.0])
    assert case_score(ENTROPY, looks, least=16) == pytest.approx(0.5)
    assert case_score(FOREGROUND, looks) == pytest.approx(0.125)


def test_haze_below_what_counts_as_seen_scores_nothing() -> None:
    assert slice_scores(ENTROPY, np.full((1, 1, 64, 64), 0.04)) == pytest.approx([0.0])


def lesion(radius: float, side: int = 128, blur: float = 2.0) -> np.ndarray:
    j, i = np.mgrid[:side, :side] - side / 2 + 0.5
    return gaussian_filter((np.hypot(j, i) <= radius).astype(float), blur)


def dropout_looks(p: np.ndarray) -> np.ndarray:
    """Looks that differ where the lesion is, ``(3, 1, H, W)``."""
    return np.stack([p * factor for factor in (0.6, 0.8, 1.0)])[:, None]


@pytest.mark.parametrize("column", ALL)
def test_the_same_lesion_twice_as_large_scores_the_same(column: str) -> None:
    small = dropout_looks(lesion(12))
    large = np.stack([zoom(look[0], 2, order=0) for look in small])[:, None]
    one, four = (slice_scores(column, looks, least=1e-9)[0] for looks in (small, large))
    assert four == pytest.approx(one, rel=1e-6)
    assert one > 0


@pytest.mark.parametrize("column", ALL)
def test_an_equally_unsure_lesion_gains_little_by_being_sixteen_times_larger(column: str) -> None:
    looks = np.zeros((2, 2, 128, 128))
    looks[:, 0, 40:56, 40:56] = [[[0.3]], [[0.7]]]
    looks[:, 1, 32:96, 32:96] = [[[0.3]], [[0.7]]]
    small, large = slice_scores(column, looks)
    assert large / small < 1.07
    assert large * (64 * 64 + LEAST_REGION) / (small * (16 * 16 + LEAST_REGION)) > 15  # a sum would have let it win


@pytest.mark.parametrize("column", [ENTROPY, MARGIN])
def test_a_large_sure_lesion_loses_to_a_small_doubtful_one(column: str) -> None:
    looks = np.zeros((1, 2, 128, 128))
    looks[0, 0] = lesion(45, blur=1.0)
    looks[0, 1] = 0.55 * lesion(6, blur=1.0)
    sure, doubtful = slice_scores(column, looks)
    assert doubtful > 2 * sure
    assert entropy_map(looks)[0].sum() > entropy_map(looks)[1].sum()  # the sum has it the other way round


def test_a_speck_of_one_voxel_does_not_win() -> None:
    looks = np.zeros((1, 2, 64, 64))
    looks[0, 0, 3, 3] = 0.5
    looks[0, 1] = lesion(10, 64)
    speck, border = slice_scores(ENTROPY, looks)
    assert speck < 0.1 < border


def test_more_empty_slices_do_not_change_the_score_of_a_case() -> None:
    looks = lesion(10, 64)[None, None]
    padded = np.concatenate([looks, np.zeros((1, 30, 64, 64))], axis=1)
    assert case_score(ENTROPY, padded) == pytest.approx(case_score(ENTROPY, looks))


@pytest.mark.parametrize("looks", [np.zeros((4, 4)), np.zeros((0, 1, 4, 4)), np.full((1, 1, 4, 4), 1.5)])
def test_what_are_no_probabilities_is_refused(looks: np.ndarray) -> None:
    with pytest.raises(InputError):
        slice_scores(ENTROPY, looks)


def test_nan_and_unknown_columns_are_refused() -> None:
    with pytest.raises(InputError, match="NaN"):
        slice_scores(ENTROPY, np.full((1, 1, 4, 4), np.nan))
    with pytest.raises(InputError, match="size"):
        slice_scores("size", np.zeros((1, 1, 4, 4)))
