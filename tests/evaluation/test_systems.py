"""The five published systems: every figure has a source, and the table is made of stored results alone."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.evaluation.detection.test_figures import report as detector_report
from tests.evaluation.gate.test_measure import A, B, Brightest
from tests.evaluation.test_evaluate import HALF, HEALTHY, MODEL, PERFECT
from tumorseg import registry
from tumorseg.errors import InputError
from tumorseg.evaluation.detection import tables as detection
from tumorseg.evaluation.evaluate import evaluate
from tumorseg.evaluation.gate import tables as gate
from tumorseg.evaluation.gate.measure import evaluate_gate
from tumorseg.evaluation.store import CLASSIFICATION, DETECTION, OBJECTS, SEGMENTATION, read_store, write_store
from tumorseg.evaluation.systems import paper_figures, systems, systems_of
from tumorseg.evaluation.systems_table import LONG_HEAD, long_rows, short_rows, source_rows
from tumorseg.evaluation.tables import report_csv, report_json
from tumorseg.evaluation.words import TITLES


def test_the_five():
    assert [system.letter for system in systems()] == ["A", "B", "C", "D", "E"]
    for system in systems():
        assert set(system.models) <= {*registry.MODELS, *registry.CLASSIFIERS}
        assert set(system.figures) | set(system.headline) <= set(TITLES)
        for one in paper_figures(system.letter):
            assert one.source
            assert one.figure in TITLES
            assert one.value is None or 0 <= one.value <= 1
    assert [system.letter for system in systems_of("maskrcnn_brain")] == ["A", "B"]
    assert systems_of("nobody") == []


def test_system_b_as_printed():
    printed = {(one.part, one.figure): one.value for one in paper_figures("B")}
    assert [printed["test", name] for name in ("precision", "recall", "f1", "iou_matched", "map50")] == [
        0.937,
        0.882,
        0.803,
        0.833,
        0.903,
    ]
    precision, recall = printed["test", "precision"], printed["test", "recall"]
    follows = 2 * precision * recall / (precision + recall)
    assert f"{follows:.3f}" in next(system.note for system in systems() if system.letter == "B")
    assert abs(follows - printed["test", "f1"]) > 0.1  # so the remark that stands beside it is true


@pytest.fixture
def stored(tmp_path):
    """One result of each kind under the names of real models."""
    made = detector_report()
    told = {**detection.report_json(made), "model": "maskrcnn_breast", "subset": "test", "seen_in_training": 0}
    write_store(tmp_path, told, DETECTION, {"": detection.pictures_csv(made), OBJECTS: detection.objects_csv(made)})
    scored = evaluate_gate(Brightest(), [A, B])
    told = {**gate.report_json(scored), "model": "gate", "subset": "validation"}
    write_store(tmp_path, told, CLASSIFICATION, {"": gate.report_csv(scored)})
    marked = evaluate(MODEL, [PERFECT, HALF, HEALTHY])
    told = {**report_json(marked), "model": "cascade", "subset": "test"}
    write_store(tmp_path, told, SEGMENTATION, {"": report_csv(marked)})
    return tmp_path


def test_what_is_stored_comes_back(stored):
    found = {one.model: one for one in read_store(stored)}
    assert set(found) == {"maskrcnn_breast", "gate", "cascade"}
    assert found["maskrcnn_breast"].figures["map50"].value == pytest.approx(2 / 3, abs=1e-6)
    assert (found["maskrcnn_breast"].count, found["maskrcnn_breast"].unit) == (5, "pictures")
    assert found["gate"].figures["auc"].value == pytest.approx(11 / 12)
    assert found["cascade"].figures["dice_mean"].value == pytest.approx(0.75)
    assert found["cascade"].pairs["false_positive_slices"] == (0 + 1 + 2, 2 + 3 + 4)
    assert read_store(stored / "nowhere") == []


def test_the_figures_are_made_of_the_lines_not_of_the_summary(stored):
    lines = (stored / "cascade-test.csv").read_text().splitlines()
    (stored / "cascade-test.csv").write_text("\n".join(lines[:2]) + "\n")  # the perfect patient alone
    found = next(one for one in read_store(stored) if one.model == "cascade")
    assert (found.count, found.figures["dice_mean"].value) == (1, 1.0)


def test_the_long_table(stored):
    rows = long_rows(read_store(stored))
    assert all(len(row) == len(LONG_HEAD) for row in rows)
    row = next(row for row in rows if row[1] == "`maskrcnn_breast`: mean Dice")
    assert "0.851 (Mask R-CNN, BUS-Set" in row[2]
    assert row[3] == "–"
    assert row[4].endswith("5 pictures")
    assert any(row[1] == "`gate`: AUC, slice by slice" and "0.917" in row[3] for row in rows)
    assert any(row[1] == "`cascade`: false-positive / empty slices" and row[4] == "3 / 9, 3 patients" for row in rows)
    assert any(row[1] == "`resunet`" and row[4] == "not measured yet" for row in rows)
    # A published figure stands in the table also where nothing of ours does.
    assert any(row[1] == "F1" and "0.803" in row[2] and "training: 0.898" in row[2] for row in rows)
    assert [row[0][:5] for row in rows if row[0]] == ["**A**", "**B**", "**C**", "**D**", "**E**"]


def test_the_short_table_says_which_part(stored):
    rows = short_rows(read_store(stored))
    assert any("(validation)" in row[3] for row in rows if "`gate`" in row[1])
    assert not any("(validation)" in row[3] for row in rows if "`cascade`" in row[1])
    assert short_rows([]) == []


def test_every_system_names_its_sources():
    assert {row[0] for row in source_rows()} == set("ABCDE")


def test_a_result_of_no_known_kind(tmp_path):
    (tmp_path / "x.json").write_text(json.dumps({"kind": "guess", "model": "x"}))
    with pytest.raises(InputError, match="expected one of the kinds"):
        read_store(tmp_path)


def test_committed_results_are_readable():
    from tests.test_docs import ROOT

    for one in read_store(ROOT / "docs" / "results"):
        assert one.model in {*registry.MODELS, *registry.CLASSIFIERS}
        assert one.count > 0
        assert any(np.isfinite(figure.value) for figure in one.figures.values())
