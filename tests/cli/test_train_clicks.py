"""``tumorseg train clicks`` and ``publish clicks``: a run on two small patients, and its card beside what is served."""

from __future__ import annotations

import json
from functools import partial
from unittest import mock

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from tests.interactive.balls import ball
from tumorseg.cli import app
from tumorseg.interactive.clicks.model import ClickModel
from tumorseg.training.clicks.config import ClickConfig, Stage

RUNNER = CliRunner()
SMALL = partial(ClickConfig, batches=1, rounds=1, piece=64, window=32, stages=(Stage(1.0, 3, 2),))
PATIENTS = {"train": ["TCGA_A_1"], "validation": ["TCGA_B_2"], "test": []}


@pytest.fixture
def data(tmp_path):
    """Write patients with one bright ball each, in the layout of the public download, and their split."""
    mask = ball((4, 64, 64), (2, 30, 36), (2, 10, 10))
    for name in ("TCGA_A_1", "TCGA_B_2"):
        folder = tmp_path / "k" / name
        folder.mkdir(parents=True)
        for k, marked in enumerate(mask):
            grey = np.where(marked, 250, 60).astype(np.uint8)
            tifffile.imwrite(folder / f"{name}_{k}.tif", np.stack([grey] * 3, -1), photometric="rgb")
            tifffile.imwrite(folder / f"{name}_{k}_mask.tif", marked.astype(np.uint8) * 255)
    (tmp_path / "split.json").write_text(json.dumps(PATIENTS))
    return tmp_path / "k"


def train(data, *words):
    run = data.parent / "run"
    with mock.patch("tumorseg.training.clicks.run.ClickConfig", SMALL):
        wanted = ["train", "clicks", "--data", str(data), "--out", str(run), "--split", str(data.parent / "split.json")]
        return RUNNER.invoke(app, [*wanted, *words])


def test_a_run_goes_on_where_it_stopped_and_is_published_with_its_card(data, tmp_path):
    result = train(data, "--epochs", "1", "--json")
    assert result.exit_code == 0, result.output
    weights = tmp_path / "run" / "clicks.safetensors"
    assert json.loads(result.stdout.splitlines()[-1])["weights"] == str(weights)
    assert train(data, "--epochs", "2").exit_code == 0
    rows = [json.loads(line) for line in (tmp_path / "run" / "history.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [0, 1]
    served = tmp_path / "served"
    with (
        mock.patch("tumorseg.evaluation.interactive.publish.WEIGHTS", served),
        mock.patch("tumorseg.evaluation.interactive.publish.CLICKS", 3),
    ):
        words = ["publish", "clicks", "--run", str(tmp_path / "run"), "--data", str(data)]
        published = RUNNER.invoke(app, [*words, "--json"])
        assert published.exit_code == 0, published.output
        again = RUNNER.invoke(app, words)
        assert again.exit_code == 2, "the same weights are no better than themselves"
    measured = json.loads(published.stdout.splitlines()[-1])["measured"]
    assert measured["validation"]["patients"] == 1
    card = json.loads((served / "clicks.json").read_text())
    assert card["version"] == ClickModel(served / "clicks.safetensors").version
    assert card["held_out"] == {"validation": ["TCGA_B_2"], "test": []}
    assert "NoC@0.90" in (served / "clicks.md").read_text()


@pytest.mark.parametrize("option", ["--minutes", "--steps", "--batch"])
def test_options_that_mean_nothing_here_are_refused(data, option):
    result = train(data, option, "3")
    assert result.exit_code == 2
    assert f"{option} cannot be given" in " ".join(result.output.split())
    assert not (data.parent / "run").exists()
