"""Average precision, by hand and against scikit-learn's curve."""

from dataclasses import replace
from itertools import pairwise
from math import isnan

import numpy as np
import pytest
from sklearn.metrics import precision_recall_curve as reference_curve

from tests.metrics.detection.cases import hits, image, random_results
from tumorseg.metrics.detection.average_precision import (
    average_precision,
    average_precisions,
    mean_average_precision,
    mean_average_precisions,
    precision_recall_curve,
    rank_classes,
)
from tumorseg.metrics.detection.matching import Ranking, rank

HERE, THERE, ELSEWHERE = (10, 10, 30, 30), (60, 60, 80, 80), (40, 10, 50, 20)


@pytest.mark.parametrize(
    ("flags", "truths", "expected"),
    [
        ([1, 1], 2, 1.0),  # all found, nothing else
        ([1], 2, 0.5),  # one of two found
        ([0, 1], 1, 0.5),  # found, after one that is wrong
        ([1, 0, 1], 2, 0.5 * 1 + 0.5 * 2 / 3),
        # recall 0.25, 0.5, 0.75 at precision 1/2, 2/3, 3/4: interpolated 3/4 everywhere
        ([0, 1, 1, 1], 4, 0.75 * 3 / 4),
        ([1, 0, 0], 1, 1.0),  # what comes after the last object is found costs nothing
        ([0, 0], 3, 0.0),
        ([], 3, 0.0),
    ],
)
def test_counted_by_hand(flags, truths, expected):
    assert average_precision(hits(*flags, truths=truths)) == pytest.approx(expected)


def test_not_defined_where_nothing_is_annotated():
    assert isnan(average_precision(hits(truths=0)))
    assert isnan(average_precision(hits(0, 0, truths=0)))
    assert isnan(mean_average_precision(rank_classes([image(found=[(0.9, HERE)])])))
    assert isnan(mean_average_precision({}))


def test_false_positives_on_an_image_without_lesion_count():
    found = image(truth=[HERE], found=[(0.6, HERE)])
    assert average_precision(rank([found, image()])) == 1.0
    assert average_precision(rank([found, image(found=[(0.9, THERE)])])) == 0.5


def test_duplicates_on_one_object_are_wrong():
    one, two = [(0.9, HERE)], [(0.9, HERE), (0.8, HERE)]
    late = (0.7, THERE)
    assert average_precision(rank([image([HERE, THERE], [*one, late])])) == 1.0
    assert average_precision(rank([image([HERE, THERE], [*two, late])])) == pytest.approx(0.5 + 0.5 * 2 / 3)


def test_detections_of_one_score_are_drawn_together_whatever_the_order_of_the_images():
    right, wrong = image(truth=[HERE], found=[(0.8, HERE)]), image(found=[(0.8, HERE)])
    for order in ([right, wrong], [wrong, right]):
        assert average_precision(rank(order)) == pytest.approx(0.5)


def test_the_mean_over_classes_is_over_those_that_are_annotated():
    results = [
        image(
            truth=[("benign", HERE), ("malignant", THERE)],
            found=[("benign", 0.9, HERE), ("other", 0.9, ELSEWHERE)],
        )
    ]
    rankings = rank_classes(results)
    assert sorted(rankings) == ["benign", "malignant"]
    assert mean_average_precision(rankings) == pytest.approx((1.0 + 0.0) / 2)


@pytest.mark.parametrize("digits", [None, 1])
@pytest.mark.parametrize("seed", range(4))
def test_the_curve_is_scikit_learns(seed, digits):
    ranking = rank(random_results(seed, score_digits=digits))
    ours = precision_recall_curve(ranking)
    precision, recall, scores = reference_curve(ranking.hit, ranking.scores)
    # scikit-learn's goes from the lowest score up, ends with the point (0, 1), and takes what was never detected for
    # not existing: its recall is of the objects found at any score.
    assert ours.scores[::-1] == pytest.approx(scores)
    assert ours.precision[::-1] == pytest.approx(precision[:-1])
    assert ours.recall[::-1] == pytest.approx(recall[:-1] * ranking.hit.sum() / ranking.truths.sum())
    assert average_precision(ranking) == pytest.approx(area(ours.recall, ours.precision), abs=1e-12)


def area(recall, precision):
    """Return the formula as it is printed, point by point."""
    points = [0.0, *sorted(set(recall))]
    return sum((after - before) * max(precision[recall >= after]) for before, after in pairwise(points))


@pytest.mark.parametrize("seed", range(4))
def test_weights_are_the_same_as_images_many_times_over(seed):
    results = random_results(seed, images=8, score_digits=1)
    rng = np.random.default_rng(seed)
    weights = rng.integers(0, 3, (5, 8)).astype(float)
    rankings = rank_classes(results)
    together = average_precisions(rank(results), weights)
    each = mean_average_precisions(rankings, weights)
    for row, one, mean in zip(weights.astype(int), together, each, strict=True):
        drawn = [result for result, times in zip(results, row, strict=True) for _ in range(times)]
        assert one == pytest.approx(average_precision(rank(drawn)), nan_ok=True)
        assert mean == pytest.approx(mean_average_precision(rank_classes(drawn)), nan_ok=True)


@pytest.mark.parametrize("seed", range(5))
def test_more_certain_of_what_is_right_is_never_worse(seed):
    ranking = rank(random_results(seed))
    best = np.argsort(~ranking.hit, kind="stable")
    sorted_out = Ranking(ranking.scores, ranking.hit[best], ranking.overlap[best], ranking.image[best], ranking.truths)
    found = ranking.hit.sum() / ranking.truths.sum()
    assert 0 <= average_precision(ranking) <= average_precision(sorted_out) == pytest.approx(found)


@pytest.mark.parametrize("seed", range(5))
def test_asking_for_more_overlap_never_finds_more(seed):
    results = random_results(seed)
    found = [rank(results, iou=iou, kind=kind).hit.sum() for kind in ("box", "mask") for iou in (0.3, 0.5, 0.7, 0.9)]
    assert found[:4] == sorted(found[:4], reverse=True)
    assert found[4:] == sorted(found[4:], reverse=True)


def test_any_rising_function_of_the_scores_is_as_good():
    results = random_results(1)
    squared = [
        replace(result, found=tuple(replace(item, score=item.score**2) for item in result.found)) for result in results
    ]
    assert average_precision(rank(squared)) == pytest.approx(average_precision(rank(results)))
