"""``tumorseg evaluate --interactive``: who is measured, what is written, what is refused."""

from __future__ import annotations

import json
from unittest import mock

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from tests.interactive.balls import CENTRES, RADIUS, RADIUS_K, SHAPE, ball
from tumorseg import registry
from tumorseg.cli import app
from tumorseg.evaluation.interactive.stored import read_stored

RUNNER = CliRunner()


@pytest.fixture(autouse=True)
def balls():
    """Make the small method of tests/interactive/balls.py known."""
    with mock.patch.dict(registry.INTERACTIVE, {"balls": "tests.interactive.balls:build_balls"}):
        yield


@pytest.fixture
def data(tmp_path):
    """Two patients with two bright balls, of which one is annotated, in the layout of the public download.

    The second is a validation patient of the split beside the weights, which hold the threshold of the method.
    """
    both = [ball(SHAPE, centre, (RADIUS_K, RADIUS, RADIUS)) for centre in CENTRES]
    for name in ("TCGA_A_1", "TCGA_B_2"):
        folder = tmp_path / "k" / name
        folder.mkdir(parents=True)
        for k in range(SHAPE[0]):
            grey = np.where(both[0][k] | both[1][k], 250, 20).astype(np.uint8)
            tifffile.imwrite(folder / f"{name}_{k}.tif", np.stack([grey] * 3, -1), photometric="rgb")
            tifffile.imwrite(folder / f"{name}_{k}_mask.tif", both[0][k].astype(np.uint8) * 255)
    (tmp_path / "200").write_text("200")
    (tmp_path / "split.json").write_text(json.dumps({"train": ["TCGA_A_1"], "validation": ["TCGA_B_2"], "test": []}))
    return tmp_path / "k"


def run(data, *words):
    weights = data.parent / "200"
    return RUNNER.invoke(app, ["evaluate", *map(str, words), "--data", str(data), "--weights", str(weights)])


def told(data, *words):
    result = run(data, *words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout.splitlines()[-1])


def test_validation_patients_are_clicked_where_nobody_says_otherwise(data):
    said = told(data, "balls", "--interactive")
    assert (said["patients"], said["subset"], said["start"], said["noc_limit"]) == (1, "validation", "auto", 20)
    assert said["dice_after"]["0"] == pytest.approx(2 / 3, abs=0.01)  # the proposal marks both balls
    assert said["dice_after"]["10"] == 1.0
    assert said["lesions_harmed_elsewhere"] == 0
    assert {"noc85", "noc90", "dice_after_ci", "gain", "click_s_median"} <= said.keys()


def test_everybody_or_one_by_name(data):
    assert told(data, "balls", "--interactive", "--subset", "all")["patients"] == 2
    assert told(data, "balls", "--patient", "TCGA_A_1")["patients"] == 1  # its name says what kind of model it is


def test_one_by_name_is_not_stored_in_the_place_of_everybody(data, tmp_path):
    everybody = run(data, "balls", "--subset", "all", "--store", tmp_path / "stored")
    assert everybody.exit_code == 0, everybody.output
    assert told(data, "balls", "--patient", "TCGA_A_1", "--store", tmp_path / "stored")["subset"] == "chosen"
    assert [(one.subset, len(one.report.rows)) for one in read_stored(tmp_path / "stored")] == [
        ("all", 2),
        ("chosen", 1),
    ]


def test_data_without_the_frozen_patients_says_how_to_take_everybody(data):
    (data.parent / "split.json").write_text(json.dumps({"train": ["A"], "validation": ["B"], "test": ["C"]}))
    result = run(data, "balls", "--interactive")
    assert result.exit_code == 2
    assert "--subset all takes everybody" in " ".join(result.stderr.split())
    assert "takes everybody" not in run(data, "balls", "--subset", "test").stderr  # who names one knows


def test_the_person_begins_with_nothing_and_gives_up(data):
    said = told(data, "balls", "--interactive", "--start", "nothing", "--clicks", "2", "--noisy", "1")
    assert (said["dice_after"]["0"], list(said["dice_after"]), said["noisy"]) == (0.0, ["0", "1", "2"], 1)


def test_for_people_and_for_files(data, tmp_path):
    files = ("--csv", tmp_path / "p.csv", "--markdown", tmp_path / "t.md", "--report", tmp_path / "r.html")
    result = run(data, "balls", "--interactive", *files, "--store", tmp_path / "stored")
    assert result.exit_code == 0, result.output
    assert "TCGA_B_2" in result.stdout
    assert "clicks to a Dice of 0.90" in result.stdout
    assert (tmp_path / "p.csv").read_text().splitlines()[1].startswith("TCGA_B_2,6,")
    assert "| Dice after 1 click |" in (tmp_path / "t.md").read_text()
    assert "<svg" in (tmp_path / "r.html").read_text()
    (stored,) = read_stored(tmp_path / "stored")
    assert (stored.subset, stored.report.rows[0].patient) == ("validation", "TCGA_B_2")


def test_what_says_nothing_to_such_a_model_is_refused(data, tmp_path):
    def refused(*words):
        result = run(data, *words)
        assert result.exit_code == 2, result.output
        return result.stderr

    assert "unknown interactive model 'resunet'" in refused("resunet", "--interactive")
    assert "--figures: nothing to write" in refused("balls", "--figures", tmp_path / "f")
    assert "start of auto, nothing" in refused("balls", "--start", "some")
    with mock.patch.dict(registry.MODELS, {"threshold": "tests.support:build_threshold"}):
        assert "--clicks: nothing" in refused("threshold", "--clicks", "3")
