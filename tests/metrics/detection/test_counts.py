"""Right, wrong and missed, counted by hand."""

from math import isnan

import numpy as np
import pytest

from tests.metrics.detection.cases import image, random_results
from tumorseg.errors import InputError
from tumorseg.metrics.detection.counts import (
    Counts,
    confusion_matrix,
    counts,
    counts_by_image,
    f1s,
    matched_iou,
    matched_ious,
    precisions,
    recalls,
)
from tumorseg.metrics.detection.matching import rank

HERE, THERE, ELSEWHERE = (10, 10, 30, 30), (60, 60, 80, 80), (40, 10, 50, 20)
NEAR_HERE = (10, 10, 30, 25)  # IoU 0.75 with HERE


def test_one_of_two_found_and_one_wrong():
    ranking = rank([image([HERE, THERE], [(0.9, HERE), (0.8, ELSEWHERE), (0.1, THERE)])])
    ours = counts(ranking, 0.5)
    assert ours == Counts(1, 1, 1)
    assert (ours.precision, ours.recall, ours.f1) == (0.5, 0.5, 0.5)
    assert counts(ranking, 0.0) == Counts(2, 1, 0)
    assert counts(ranking, 0.9) == Counts(1, 0, 1)  # the score itself is enough
    assert counts(ranking, 0.95) == Counts(0, 0, 2)


def test_what_is_not_defined():
    nothing = counts(rank([image()]), 0.5)
    assert all(isnan(value) for value in (nothing.precision, nothing.recall, nothing.f1))
    missed, invented = counts(rank([image([HERE])]), 0.5), counts(rank([image([], [(0.9, HERE)])]), 0.5)
    assert (isnan(missed.precision), missed.recall, missed.f1) == (True, 0.0, 0.0)
    assert (invented.precision, isnan(invented.recall), invented.f1) == (0.0, True, 0.0)


def test_f1_is_the_harmonic_mean():
    ours = Counts(30, 2, 4)
    assert ours.f1 == pytest.approx(2 / (1 / ours.precision + 1 / ours.recall))


def test_each_image_by_itself_and_all_together():
    results = random_results(0)
    ranking = rank(results)
    each = counts_by_image(ranking, 0.4)
    assert each == [counts(rank([result]), 0.4) for result in results]
    assert counts(ranking, 0.4) == Counts(
        *(sum(getattr(c, n) for c in each) for n in ("true_positives", "false_positives", "false_negatives"))
    )


def test_the_iou_is_of_what_was_found():
    results = [image([HERE], [(0.9, NEAR_HERE), (0.8, ELSEWHERE)]), image([THERE], [(0.4, THERE)]), image([THERE])]
    assert matched_iou(rank(results), 0.5) == pytest.approx(0.75)
    assert matched_iou(rank(results), 0.0) == pytest.approx((0.75 + 1.0) / 2)
    assert isnan(matched_iou(rank(results), 0.95))


@pytest.mark.parametrize("seed", range(3))
def test_weights_are_the_same_as_images_many_times_over(seed):
    results = random_results(seed, images=9)
    ranking = rank(results)
    weights = np.random.default_rng(seed).integers(0, 3, (6, 9)).astype(float)
    for row, *values in zip(
        weights.astype(int),
        precisions(ranking, weights, 0.3),
        recalls(ranking, weights, 0.3),
        f1s(ranking, weights, 0.3),
        matched_ious(ranking, weights, 0.3),
        strict=True,
    ):
        drawn = rank([result for result, times in zip(results, row, strict=True) for _ in range(times)])
        ours = counts(drawn, 0.3)
        assert values == pytest.approx([ours.precision, ours.recall, ours.f1, matched_iou(drawn, 0.3)], nan_ok=True)


def test_confusion_by_hand():
    results = [
        image(
            truth=[("benign", HERE), ("malignant", THERE)],
            found=[
                ("malignant", 0.9, HERE),  # benign taken for malignant
                ("benign", 0.8, HERE),  # too late: HERE is taken
                ("malignant", 0.7, THERE),
                ("malignant", 0.1, ELSEWHERE),  # below the score
            ],
        ),
        image(truth=[("benign", HERE)]),  # missed
        image(),
    ]
    ours = confusion_matrix(results, score=0.5)
    assert ours.labels == ("benign", "malignant", "background")
    assert ours.counts.tolist() == [[0, 1, 1], [0, 1, 0], [1, 0, 0]]


def test_every_object_and_every_detection_is_counted_once():
    results = random_results(2)
    ours = confusion_matrix(results, score=0.3, iou=0.5, kind="mask", labels=["malignant", "benign"])
    assert ours.labels == ("malignant", "benign", "background")
    for number, label in enumerate(ours.labels[:-1]):
        assert ours.counts[number].sum() == sum(item.label == label for r in results for item in r.truth)
        assert ours.counts[:, number].sum() == sum(
            item.label == label and item.score >= 0.3 for r in results for item in r.found
        )
    assert ours.counts[-1, -1] == 0


def test_nothing_to_confuse():
    assert confusion_matrix([], score=0.5).counts.tolist() == [[0]]
    assert confusion_matrix([image()], score=0.5, labels=["tumour"]).counts.tolist() == [[0, 0], [0, 0]]


def test_classes_that_are_not_known():
    with pytest.raises(InputError, match=r"expected objects of the classes \['cyst'\], got \['tumour'\]"):
        confusion_matrix([image([HERE])], score=0.5, labels=["cyst"])
    with pytest.raises(InputError, match="background"):
        confusion_matrix([image([("background", HERE)])], score=0.5)
