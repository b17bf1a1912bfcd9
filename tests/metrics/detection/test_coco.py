"""COCO's figures against pycocotools."""

import contextlib
import io
from dataclasses import astuple
from math import isnan

import numpy as np
import pytest

from tests.metrics.detection.cases import image, random_results
from tumorseg.metrics.detection.coco import (
    THRESHOLDS,
    coco_average_precision,
    coco_average_precisions,
    coco_rankings,
    coco_summary,
)
from tumorseg.metrics.detection.matching import rank
from tumorseg.metrics.detection.records import true_labels

HERE, THERE = (10, 10, 30, 30), (60, 60, 80, 80)


def reference(results, kind):
    """Return pycocotools' twelve figures, NaN for its -1."""
    from pycocotools import mask as rle
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    numbers = {label: number for number, label in enumerate(true_labels(results), start=1)}
    truth, found = [], []
    for index, result in enumerate(results, start=1):
        for item in (*result.truth, *(item for item in result.found if item.label in numbers)):
            (x0, y0, x1, y1), encoded = item.box, rle.encode(np.asfortranarray(item.mask.astype(np.uint8)))
            entry = {"image_id": index, "category_id": numbers[item.label]}
            if kind == "mask" or item in result.truth:
                entry["segmentation"] = encoded
            if kind == "box" or item in result.truth:
                entry["bbox"] = [x0, y0, x1 - x0, y1 - y0]
            if item in result.truth:
                area = float(np.count_nonzero(item.mask))
                truth.append({**entry, "id": len(truth) + 1, "area": area, "iscrowd": 0})
            else:
                found.append({**entry, "score": item.score})
    images = [{"id": index, "height": r.size[0], "width": r.size[1]} for index, r in enumerate(results, start=1)]
    classes = [{"id": number, "name": label} for label, number in numbers.items()]
    with contextlib.redirect_stdout(io.StringIO()):
        ground = COCO()
        ground.dataset = {"info": {}, "images": images, "annotations": truth, "categories": classes}
        ground.createIndex()
        evaluation = COCOeval(ground, ground.loadRes(found), {"box": "bbox", "mask": "segm"}[kind])
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return np.where(evaluation.stats == -1, np.nan, evaluation.stats)


@pytest.mark.parametrize("kind", ["box", "mask"])
@pytest.mark.parametrize("digits", [None, 1])
@pytest.mark.parametrize("seed", range(3))
def test_the_twelve_figures_are_pycocotools(seed, digits, kind):
    results = random_results(seed, images=30, score_digits=digits)
    ours = astuple(coco_summary(results, kind))
    assert ours == pytest.approx(reference(results, kind), abs=1e-6, nan_ok=True)
    assert 0.1 < ours[0] < 0.9  # neither nothing nor everything is found: there is something to compare


def test_more_than_a_hundred_detections_an_image_are_left_out():
    crowded = image([HERE], [*((0.9 - 0.001 * n, THERE) for n in range(100)), (0.1, HERE)])
    ours = astuple(coco_summary([crowded]))
    assert ours == pytest.approx(reference([crowded], "box"), abs=1e-6, nan_ok=True)
    assert ours[0] == 0.0


def test_sizes_that_are_not_there_are_not_defined():
    ours = coco_summary([image([HERE], [(0.9, HERE)])])  # 20 x 20: small
    assert (ours.ap, ours.ap50, ours.ap75, ours.ap_small, ours.ar_1) == (1, 1, 1, 1, 1)
    assert all(isnan(value) for value in (ours.ap_medium, ours.ap_large, ours.ar_medium, ours.ar_large))


def test_nothing_annotated_and_nothing_found():
    assert all(isnan(value) for value in astuple(coco_summary([image([], [(0.9, HERE)])])))
    assert all(isnan(value) for value in astuple(coco_summary([])))
    missed = coco_summary([image([HERE])])
    assert (missed.ap, missed.ar_100) == (0.0, 0.0)


def test_one_of_two_found_has_101_recalls():
    # precision 1 at recall 0, 0.01, ..., 0.50: 51 of 101; all points would give 0.5
    assert coco_average_precision(rank([image([HERE, THERE], [(0.9, HERE)])])) == pytest.approx(51 / 101)


@pytest.mark.parametrize("kind", ["box", "mask"])
def test_resamples(kind):
    results = random_results(0, images=10)
    rankings = coco_rankings(results, kind)
    assert [len(row) for row in rankings] == [len(THRESHOLDS)] * 2
    weights = np.stack([np.ones(10), *np.random.default_rng(0).integers(0, 2, (3, 10))]).astype(float)
    ours = coco_average_precisions(rankings, weights)
    for row, value in zip(weights.astype(bool), ours, strict=True):
        drawn = [result for result, kept in zip(results, row, strict=True) if kept]
        assert value == pytest.approx(coco_summary(drawn, kind).ap)
