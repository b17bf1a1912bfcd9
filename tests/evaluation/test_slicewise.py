"""Slice by slice: hand-counted, with and without tumour."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest

from tests.evaluation.test_evaluate import HALF, HEALTHY, MISSED, MODEL, PERFECT
from tumorseg.evaluation.evaluate import evaluate, summarise
from tumorseg.evaluation.slicewise import tumour_slices
from tumorseg.evaluation.tables import read_rows, report_csv, report_json
from tumorseg.metrics.pair import Pair


def test_slices_with_tumour_by_hand():
    truth, found = np.zeros((3, 4, 4), bool), np.zeros((3, 4, 4), bool)
    truth[0, 0, :2] = found[0, 0, 1:3] = True  # one of two each: Dice 1/2, IoU 1/3
    truth[1, 1, 1] = found[1, 1, 1] = True  # Dice and IoU 1
    found[2, 0, 0] = True  # no tumour: not among these
    assert tumour_slices(Pair(truth, found)) == pytest.approx((0.75, 2 / 3))
    assert all(isnan(value) for value in tumour_slices(Pair(truth[2:], found[2:])))


def test_all_slices_of_all_patients():
    told = report_json(evaluate(MODEL, [PERFECT, HALF, MISSED, HEALTHY]))
    # With tumour: perfect's two slices 1, half's one 2/3 (one of two voxels found), missed's one 0.
    assert told["slice_dice_tumour"] == pytest.approx((1 + 1 + 2 / 3 + 0) / 4, abs=1e-4)
    assert told["slice_iou_tumour"] == pytest.approx((1 + 1 + 1 / 2 + 0) / 4, abs=1e-4)
    # Without: 2 + 3 + 3 + 4 slices, of which 0 + 1 + 0 + 2 are marked in vain.
    assert told["slice_dice_empty"] == told["slice_iou_empty"] == 9 / 12
    assert told["slice_dice"] == pytest.approx((1 + 1 + 2 / 3 + 0 + 9) / 16, abs=1e-4)
    assert told["slice_dice_ci"][0] <= told["slice_dice"] <= told["slice_dice_ci"][1]


def test_patients_without_tumour_have_no_slices_with_it():
    told = report_json(evaluate(MODEL, [HEALTHY]))
    assert (told["slice_dice_tumour"], told["slice_dice_tumour_ci"]) == (None, [None, None])
    assert told["slice_dice"] == told["slice_dice_empty"] == 0.5


def test_the_csv_holds_all_that_was_measured(tmp_path):
    report = evaluate(MODEL, [PERFECT, MISSED, HEALTHY])
    (tmp_path / "p.csv").write_bytes(report_csv(report))
    again = summarise(read_rows(tmp_path / "p.csv"))
    assert again.slicewise == report.summary.slicewise
    assert again.dice_mean == report.summary.dice_mean
    assert (again.patients, again.empty_slices, again.without_tumour) == (3, 2 + 3 + 4, 1)
