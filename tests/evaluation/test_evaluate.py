"""A model measured on patients whose overlap is known by hand."""

import csv
import io
import json
from math import isnan

import numpy as np
import pytest

from tests.support import ThresholdModel
from tumorseg.errors import InputError
from tumorseg.evaluation.evaluate import evaluate
from tumorseg.evaluation.published import published
from tumorseg.evaluation.tables import patient_table, report_csv, report_json, summary_table
from tumorseg.geometry import Grid
from tumorseg.io.kaggle_3m import Case
from tumorseg.types import Segmentation, StudyImage

MODEL = ThresholdModel(threshold=500)


def case(name, bright, true, shape=(4, 4, 4), spacing_known=False):
    """Return a patient whose ``bright`` voxels (k, j, i) the model marks, of which ``true`` are tumour."""
    grid = Grid(shape, np.diag([1.0, 1.0, 5.0, 1.0]))
    voxels = np.zeros((1, *shape), np.int16)
    for voxel in bright:
        voxels[0][voxel] = 900
    truth = None
    if true is not None:
        mask = np.zeros(shape, np.uint8)
        for voxel in true:
            mask[voxel] = 1
        truth = Segmentation(mask, grid, {"tumour": 1})
    return Case(name, StudyImage(voxels, grid, ("FLAIR",), "MR", spacing_known=spacing_known), truth)


PERFECT = case("perfect", [(0, 0, 0), (1, 0, 0)], [(0, 0, 0), (1, 0, 0)])  # Dice 1; slices 2 and 3 empty
HALF = case("half", [(0, 0, 0), (3, 0, 0)], [(0, 0, 0), (0, 0, 1)])  # Dice 2*1/4; 3 empty, slice 3 marked
MISSED = case("missed", [], [(2, 1, 1)])  # Dice 0; 3 empty
HEALTHY = case("healthy", [(1, 1, 1), (2, 1, 1)], [])  # nothing to find; 4 empty, 2 marked
UNKNOWN = case("unknown", [(0, 0, 0)], None)


def test_a_whole_evaluation_by_hand():
    report = evaluate(MODEL, [PERFECT, HALF, MISSED, HEALTHY, UNKNOWN])
    assert [row.patient for row in report.rows] == ["perfect", "half", "missed", "healthy"]
    assert [row.metrics["dice"] for row in report.rows] == [1.0, 0.5, 0.0, 0.0]
    summary = report.summary
    assert (summary.patients, summary.without_tumour, summary.without_truth) == (4, 1, 1)
    assert summary.dice_mean.value == pytest.approx(0.5)  # of the three with tumour
    assert summary.dice_median.value == pytest.approx(0.5)
    assert (summary.dice_mean.low, summary.dice_mean.high) == pytest.approx((0.0, 1.0))
    assert summary.means["sensitivity"] == pytest.approx((1 + 0.5 + 0) / 3)
    assert summary.means["precision"] == pytest.approx((1 + 0.5) / 2)  # not defined where nothing was marked
    assert (summary.empty_slices, summary.false_positive_slices) == (2 + 3 + 3 + 4, 0 + 1 + 0 + 2)
    assert summary.false_positive_rate == pytest.approx(3 / 12)
    assert (report.model, report.version) == ("threshold", MODEL.version)


def test_distances_only_where_millimetres_are_known():
    assert isnan(evaluate(MODEL, [HALF]).rows[0].metrics["hd95_mm"])
    known = case("known", [(0, 0, 0)], [(2, 0, 0)], spacing_known=True)
    assert evaluate(MODEL, [known]).rows[0].metrics["hd95_mm"] == pytest.approx(10.0)  # two slices of 5 mm


def test_the_same_answers_give_the_same_intervals():
    cases = [PERFECT, HALF, MISSED]
    assert evaluate(MODEL, cases).summary == evaluate(MODEL, cases).summary


def test_progress_hears_of_every_case():
    heard = []
    evaluate(MODEL, [HALF, UNKNOWN], progress=lambda case, found, row: heard.append((case.id, found, row)))
    assert [name for name, _, _ in heard] == ["half", "unknown"]
    assert heard[0][1].voxels.sum() == 2
    assert heard[1][1:] == (None, None)


def test_patients_without_tumour_only():
    report = evaluate(MODEL, [HEALTHY])
    assert isnan(report.summary.dice_mean.value)
    told = report_json(report)
    assert told["dice_mean"] is None
    assert told["dice_ci"] == [None, None]
    assert (told["empty_slices"], told["false_positive_slices"]) == (4, 2)
    json.dumps(told, allow_nan=False)


def test_nobody_to_measure():
    with pytest.raises(InputError, match="at least one patient with a mask, got 1 without"):
        evaluate(MODEL, [UNKNOWN])


def test_the_json_begins_with_what_machines_look_for():
    told = report_json(evaluate(MODEL, [PERFECT, HALF]), seen_in_training=3)
    assert list(told)[:7] == [
        "model",
        "patients",
        "dice_mean",
        "dice_median",
        "dice_ci",
        "empty_slices",
        "false_positive_slices",
    ]
    assert (told["dice_mean"], told["dice_ci"], told["seen_in_training"]) == (0.75, [0.5, 1.0], 3)


def test_the_csv_has_a_line_for_each_patient():
    text = report_csv(evaluate(MODEL, [HALF, HEALTHY])).decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["patient"] for row in rows] == ["half", "healthy"]
    assert (rows[0]["dice"], rows[0]["hd95_mm"], rows[0]["truth_voxels"]) == ("0.5000", "", "2")
    assert (rows[1]["sensitivity"], rows[1]["false_positive_slices"]) == ("", "2")


def test_published_figures_stand_beside_ours():
    from rich.console import Console

    figures = {other.name: other.dice_mean for other in published()}
    assert sorted(figures.values()) == [0.703, 0.82, 0.84]
    assert all(other.reference for other in published())
    report = evaluate(MODEL, [PERFECT, HALF])
    console = Console(width=160, file=io.StringIO())
    console.print(summary_table(report, "ours", "lgg"), patient_table(report))
    text = console.file.getvalue()
    assert "0.750 [0.500, 1.000]" in text
    assert all(name in text for name in figures)
    assert text.index("half") < text.index("perfect")  # the worst first
