"""Figures of a detector against hand-counted pictures, and against the statistics they are made of."""

from __future__ import annotations

import numpy as np
import pytest

from tumorseg.errors import InputError
from tumorseg.evaluation.detection.examine import examine
from tumorseg.evaluation.detection.figures import confusion, summarise
from tumorseg.evaluation.detection.stored import read_examined
from tumorseg.evaluation.detection.tables import objects_csv, pictures_csv, report_json
from tumorseg.metrics.detection.average_precision import mean_average_precision, rank_classes
from tumorseg.metrics.detection.coco import coco_summary
from tumorseg.metrics.detection.counts import confusion_matrix
from tumorseg.metrics.detection.records import Found, ImageResult, Truth

CLASSES = ("benign", "malignant")


def mask(box, size=(20, 20)):
    drawn = np.zeros(size, bool)
    x0, y0, x1, y1 = (int(v) for v in box)
    drawn[y0:y1, x0:x1] = True
    return drawn


def truth(label, *box):
    return Truth(label, np.array(box, float), mask(box))


def found(label, score, *box):
    return Found(label, score, np.array(box, float), mask(box))


def picture(name, truths, founds, patient=None):
    return ImageResult(name, patient, tuple(truths), tuple(founds), (20, 20))


RESULTS = [
    # Found exactly.
    picture("a", [truth("benign", 0, 0, 10, 10)], [found("benign", 0.9, 0, 0, 10, 10)]),
    # One of two found, at an IoU of 0.8.
    picture(
        "b",
        [truth("malignant", 0, 0, 10, 10), truth("malignant", 12, 12, 18, 18)],
        [found("malignant", 0.8, 0, 0, 10, 8)],
    ),
    # Found as the wrong class.
    picture("c", [truth("malignant", 5, 5, 15, 15)], [found("benign", 0.7, 5, 5, 15, 15)]),
    # Nothing there: one false alarm above the threshold, one below.
    picture("d", [], [found("benign", 0.6, 2, 2, 6, 6), found("malignant", 0.2, 10, 10, 14, 14)]),
    # Nothing there, nothing found.
    picture("e", [], []),
]


def report(results=RESULTS, score=0.5):
    return summarise("blobs", "v1", CLASSES, score, [examine(result, score, 0.1) for result in results])


def test_a_whole_evaluation_by_hand():
    made = report()
    values = {name: figure.value for name, figure in made.figures.items()}
    # Class by class: right are a and one of b; wrong are c's and d's; missed are one of b and c's.
    assert (made.counts.true_positives, made.counts.false_positives, made.counts.false_negatives) == (2, 2, 2)
    assert (values["precision"], values["recall"], values["f1"]) == (0.5, 0.5, 0.5)
    assert values["iou_matched"] == pytest.approx((1.0 + 0.8) / 2)
    # Benign: one object, found first of three: 1. Malignant: three objects, one found, and that first: 1/3.
    assert made.ap50["benign"].value == pytest.approx(1.0)
    assert made.ap50["malignant"].value == pytest.approx(1 / 3)
    assert values["map50"] == pytest.approx(2 / 3)
    # Whatever the class: four objects, three found by the three surest: 3/4.
    assert values["ap50_lesion"] == pytest.approx(3 / 4)
    assert (values["precision_lesion"], values["recall_lesion"]) == (3 / 4, 3 / 4)
    assert values["dice_mean"] == pytest.approx((1.0 + 2 * 80 / (136 + 80) + 1.0) / 3)
    assert (values["specificity"], made.without_lesion, made.false_alarm_pictures) == (0.5, 2, 1)
    assert made.confusion.labels == ("benign", "malignant", "background")
    assert made.confusion.counts.tolist() == [[1, 0, 0], [1, 1, 1], [1, 0, 0]]
    for figure in made.figures.values():
        assert figure.low <= figure.value <= figure.high


def test_the_same_as_from_the_pixels():
    values = {name: figure.value for name, figure in report().figures.items()}
    for kind, prefix in (("box", ""), ("mask", "mask_")):
        assert values[f"{prefix}map50"] == pytest.approx(mean_average_precision(rank_classes(RESULTS, kind=kind)))
        assert values[f"{prefix}coco_map"] == pytest.approx(coco_summary(RESULTS, kind).ap)
    expected = confusion_matrix(RESULTS, score=0.5, labels=CLASSES)
    ours = confusion([examine(result, 0.5) for result in RESULTS], CLASSES, 0.5)
    assert ours.counts.tolist() == expected.counts.tolist()


def test_what_is_written_holds_all_that_was_measured(tmp_path):
    made = report()
    (tmp_path / "p.csv").write_bytes(pictures_csv(made))
    (tmp_path / "o.csv").write_bytes(objects_csv(made))
    again = summarise("blobs", "v1", CLASSES, 0.5, read_examined(tmp_path / "p.csv", tmp_path / "o.csv"))
    assert report_json(again) == report_json(made)
    assert pictures_csv(again) == pictures_csv(made)
    lines = (tmp_path / "p.csv").read_text().splitlines()
    assert lines[2].startswith("b,,2,1,1,0,1,0.8000,0.7407,0.8000,136,80,80,")


def test_objects_of_an_unlisted_picture_are_refused(tmp_path):
    made = report()
    (tmp_path / "p.csv").write_bytes(b"\n".join(pictures_csv(made).splitlines()[:-4]) + b"\n")
    (tmp_path / "o.csv").write_bytes(objects_csv(made))
    with pytest.raises(InputError, match="does not list"):
        read_examined(tmp_path / "p.csv", tmp_path / "o.csv")


def test_boxes_without_masks_have_no_mask_figures():
    boxes = picture("f", [Truth("benign", np.array([0.0, 0, 10, 10]))], [found("benign", 0.9, 0, 0, 10, 10)])
    told = report_json(report([boxes]))
    assert (told["map50"], told["mask_map50"], told["dice_mean"]) == (1.0, None, None)


def test_pictures_of_one_patient_are_drawn_together():
    hit = [truth("benign", 0, 0, 10, 10)], [found("benign", 0.9, 0, 0, 10, 10)]
    missed = [truth("benign", 0, 0, 10, 10)], []
    alone = report([picture(str(n), *(hit if n % 2 else missed)) for n in range(20)])
    same = report([picture(str(n), *(hit if n % 2 else missed), patient="p") for n in range(20)])
    assert alone.figures["recall"].low < 0.5 < alone.figures["recall"].high
    assert (same.figures["recall"].low, same.figures["recall"].high) == (0.5, 0.5)
    assert (alone.patients, same.patients) == (None, 1)


def test_nothing_found_at_all():
    told = report_json(report([picture("a", [truth("benign", 0, 0, 10, 10)], [])]))
    assert (told["map50"], told["recall"], told["f1"], told["precision"]) == (0.0, 0.0, 0.0, None)
    assert (told["iou_matched"], told["dice_mean"]) == (None, 0.0)


def test_only_normal_pictures():
    told = report_json(report([picture("d", [], [found("benign", 0.6, 2, 2, 6, 6)]), picture("e", [], [])]))
    assert (told["map50"], told["ap50"], told["specificity"], told["false_alarm_images"]) == (None, {}, 0.5, 1)


def test_no_picture():
    with pytest.raises(InputError, match="at least one annotated picture"):
        report([])
