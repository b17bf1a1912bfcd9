"""``tumorseg evaluate`` with a classifier of slices."""

from __future__ import annotations

import json
from unittest import mock

import pytest
from typer.testing import CliRunner

from tests.evaluation.gate.test_measure import Brightest
from tests.test_cli import write_kaggle
from tumorseg import registry
from tumorseg.cli import app

RUNNER = CliRunner()


def build(weights=None, device="auto"):
    return Brightest(threshold=0.5)


@pytest.fixture
def kaggle(tmp_path):
    """Two patients: of six slices three with tumour; the brightest voxel of the first channel says nothing of one."""
    write_kaggle(tmp_path / "k", "TCGA_A_1", [(0, 1, 1), (1, 1, 1)], [(0, 1, 1), (1, 1, 1), (2, 3, 3)])
    write_kaggle(tmp_path / "k", "TCGA_B_2", [(3, 1, 1)], [(3, 1, 1)])
    return tmp_path / "k"


def run(*words):
    entry = {"brightest": "tests.cli.evaluate.test_slices:build"}
    with mock.patch.dict(registry.CLASSIFIERS, entry):
        return RUNNER.invoke(app, ["evaluate", "brightest", *map(str, words)])


def test_a_classifier(kaggle, tmp_path):
    files = ("--csv", tmp_path / "g.csv", "--report", tmp_path / "g.html", "--store", tmp_path / "results")
    result = run("--data", kaggle, *files, "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout.splitlines()[-1])
    assert (told["patients"], told["slices"], told["tumour_slices"]) == (2, 8, 4)
    assert 0 <= told["auc_ci"][0] <= told["auc"] <= told["auc_ci"][1] <= 1
    assert told["seen_in_training"] == 0
    assert len((tmp_path / "g.csv").read_text().splitlines()) == 3
    page = (tmp_path / "g.html").read_text()
    assert "TCGA_A_1" in page
    assert "<script" not in page
    assert page.count("<polyline") == 2
    assert {path.suffix for path in (tmp_path / "results").iterdir()} == {".csv", ".json"}


def test_for_people(kaggle):
    result = run("--data", kaggle)
    assert result.exit_code == 0, result.output
    assert "AUC, slice by slice" in result.stdout


def test_refusals(kaggle, tmp_path):
    result = run("--data", kaggle, "--figures", tmp_path / "f")
    assert result.exit_code == 2
    assert "--figures" in result.stderr
