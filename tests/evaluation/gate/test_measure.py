"""A classifier of slices measured on patients whose scores are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from tumorseg.errors import InputError
from tumorseg.evaluation.gate.measure import GateRow, evaluate_gate, roc, summarise
from tumorseg.evaluation.gate.tables import read_rows, report_csv, report_json
from tumorseg.geometry import Grid
from tumorseg.io.kaggle_3m import Case
from tumorseg.types import Segmentation, SliceScores, StudyImage


@dataclass(frozen=True)
class Brightest:
    """A classifier of the contract: a slice's score is its brightest voxel."""

    axis: int = 0
    name: str = "brightest"
    version: str = "v"
    description: str = "for tests only"
    channels: tuple[str, ...] = ("FLAIR",)
    threshold: float = 0.5

    def classify(self, image, *, progress=None):
        others = tuple(axis for axis in range(3) if axis != self.axis)
        return SliceScores(image.voxels[0].max(axis=others), self.axis, self.name, self.version)


def case(name, scores, truth):
    """A patient whose slices have these scores; ``truth`` None for nobody knows."""
    grid = Grid((len(scores), 2, 2), np.eye(4))
    voxels = np.zeros((1, *grid.shape), np.float32)
    voxels[0, :, 1, 1] = scores
    mask = None
    if truth is not None:
        mask = np.zeros(grid.shape, np.uint8)
        mask[:, 0, 0] = truth
    return Case(
        name, StudyImage(voxels, grid, ("FLAIR",)), mask if mask is None else Segmentation(mask, grid, {"t": 1})
    )


A = case("a", [0.9, 0.8, 0.4, 0.1], [1, 1, 1, 0])
B = case("b", [0.7, 0.2, 0.2], [0, 0, 0])
UNKNOWN = case("c", [0.5], None)


def test_by_hand():
    report = evaluate_gate(Brightest(), [A, B, UNKNOWN])
    # Three slices with tumour, four without; only 0.4 against 0.7 is the wrong way round: 11 of 12 pairs.
    values = {name: figure.value for name, figure in report.figures.items()}
    assert values["auc"] == pytest.approx(11 / 12)
    assert (values["sensitivity"], values["specificity"]) == (pytest.approx(2 / 3), pytest.approx(3 / 4))
    assert (values["precision"], values["accuracy"]) == (pytest.approx(2 / 3), pytest.approx(5 / 7))
    told = report_json(report, subset="test")
    assert (told["slices"], told["tumour_slices"], told["missed_slices"], told["false_positive_slices"]) == (7, 3, 1, 1)
    assert (told["patients"], told["patients_without_truth"], told["subset"]) == (2, 1, "test")


def test_slices_along_another_axis():
    report = evaluate_gate(Brightest(axis=2), [A])
    assert report.rows[0].truth.tolist() == [True, False]  # the truth lies in the first column
    assert report.rows[0].scores.tolist() == pytest.approx([0.0, 0.9])


def test_the_curve_goes_from_corner_to_corner_and_encloses_the_area():
    report = evaluate_gate(Brightest(), [A, B])
    wrong, right = roc(report)
    assert (wrong[0], right[0], wrong[-1], right[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(right, wrong) == pytest.approx(report.figures["auc"].value)


def test_patients_without_any_tumour_only():
    told = report_json(evaluate_gate(Brightest(), [B]))
    assert (told["auc"], told["auc_ci"], told["sensitivity"]) == (None, [None, None], None)
    assert told["specificity"] == 0.6667


def test_what_is_written_holds_all_that_was_measured(tmp_path):
    report = evaluate_gate(Brightest(), [A, B])
    (tmp_path / "g.csv").write_bytes(report_csv(report))
    rows = read_rows(tmp_path / "g.csv")
    again = summarise(report.model, report.version, report.threshold, rows)
    assert again.figures == report.figures
    (tmp_path / "bad.csv").write_text("patient\nx\n")
    with pytest.raises(InputError, match="expected the columns"):
        read_rows(tmp_path / "bad.csv")


def test_refusals():
    with pytest.raises(InputError, match="at least one patient"):
        evaluate_gate(Brightest(), [UNKNOWN])
    with pytest.raises(InputError, match="slices"):
        GateRow("x", np.zeros(3), np.zeros(2, bool), 0.0)
