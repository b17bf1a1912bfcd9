"""Who found what, by hand."""

from dataclasses import replace

import numpy as np
import pytest

from tests.metrics.detection.cases import image, random_results
from tumorseg.metrics.detection.matching import match, rank
from tumorseg.metrics.detection.records import Found, ImageResult, Truth

HERE, THERE = (10, 10, 30, 30), (60, 60, 80, 80)
NEAR_HERE = (10, 10, 30, 25)  # IoU 0.75 with HERE


def test_the_most_certain_takes_the_object_and_the_second_is_wrong():
    ranking = rank([image(truth=[HERE], found=[(0.6, HERE), (0.9, NEAR_HERE)])])
    assert ranking.scores.tolist() == [0.9, 0.6]
    assert ranking.hit.tolist() == [True, False]  # though the second fits better
    assert ranking.overlap == pytest.approx([0.75, 0.0])
    assert ranking.truths.tolist() == [1]


def test_among_equal_scores_the_first_takes_it():
    ranking = rank([image(truth=[HERE], found=[(0.9, NEAR_HERE), (0.9, HERE)])])
    assert ranking.hit.tolist() == [True, False]
    assert ranking.overlap == pytest.approx([0.75, 0.0])


def test_a_detection_takes_the_free_object_it_overlaps_most():
    overlap = np.array([[0.6, 0.9], [0.6, 0.9], [0.6, 0.9]])
    assert match(overlap, 0.5).tolist() == [1, 0, -1]
    assert match(overlap, 0.7).tolist() == [1, -1, -1]


def test_among_equal_overlaps_the_last_object_is_taken():
    assert match(np.array([[0.6, 0.6]]), 0.5).tolist() == [1]


def test_an_ignored_object_is_taken_only_where_no_other_can_be():
    ignored = np.array([True, False])
    assert match(np.array([[0.9, 0.6], [0.9, 0.6]]), 0.5, ignored).tolist() == [1, 0]


@pytest.mark.parametrize(("overlap", "iou", "found"), [(0.5, 0.5, True), (0.4999, 0.5, False), (1.0, 1.0, True)])
def test_the_threshold_itself_is_enough(overlap, iou, found):
    assert (match(np.array([[overlap]]), iou)[0] == 0) == found


def test_a_class_is_only_found_as_itself():
    results = [image(truth=[("benign", HERE)], found=[("malignant", 0.9, HERE)])]
    assert rank(results, label="benign").hit.size == 0
    assert rank(results, label="malignant").hit.tolist() == [False]
    both = rank(results)
    assert (both.hit.tolist(), both.truths.tolist()) == ([False], [1])


def test_boxes_and_masks_are_not_the_same():
    result = image(truth=[HERE], found=[(0.9, HERE)])
    result.found[0].mask[:] = False
    result.found[0].mask[10:12, 10:30] = True
    assert rank([result], kind="box").hit.tolist() == [True]
    assert rank([result], kind="mask").hit.tolist() == [False]


def test_nothing_at_all():
    assert rank([]).images == 0
    nothing = rank([image(), image()])
    assert (nothing.images, nothing.scores.size, nothing.truths.tolist()) == (2, 0, [0, 0])
    assert rank([image(truth=[HERE])]).truths.tolist() == [1]
    assert rank([image(found=[(0.9, HERE)])]).hit.tolist() == [False]


def test_lesions_of_a_volume():
    # (i0, j0, k0, i1, j1, k1); the second one is the same in its slices and lies in others
    lesion, elsewhere = (2, 3, 0, 8, 9, 2), (2, 3, 4, 8, 9, 6)
    study = ImageResult(
        "a", "a", (Truth("t", lesion),), (Found("t", 0.9, elsewhere), Found("t", 0.8, lesion)), (8, 12, 12)
    )
    assert rank([study]).hit.tolist() == [False, True]


@pytest.mark.parametrize("seed", range(5))
def test_no_object_twice_and_none_that_is_not_there(seed):
    results = random_results(seed, score_digits=1)
    for iou in (0.1, 0.5, 0.9):
        ranking = rank(results, iou=iou)
        assert (np.bincount(ranking.image[ranking.hit], minlength=len(results)) <= ranking.truths).all()
        assert (ranking.overlap[ranking.hit] >= iou).all()
        assert not ranking.overlap[~ranking.hit].any()
        assert (np.diff(ranking.scores) <= 0).all()
        assert ranking.scores.size == sum(len(result.found) for result in results)


def test_leaving_out_low_scores_changes_nothing_above_them():
    results = random_results(3)
    kept = rank(results).above(0.5)
    fewer = [image_without(result, 0.5) for result in results]
    assert rank(fewer).hit.tolist() == kept.hit.tolist()
    assert rank(fewer).scores.tolist() == kept.scores.tolist()


def image_without(result, score):
    return replace(result, found=tuple(item for item in result.found if item.score >= score))
