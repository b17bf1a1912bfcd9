"""``tumorseg simulate``: the last line is what a check reads, and the files lie beside the records."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from tumorseg.cli import app

SMALL = ("--strategy", "entropy", "--seeds", "1", "--rounds", "2", "--steps", "1", "--start", "4", "--batch", "2")


def run(*words: object):  # type: ignore[no-untyped-def]
    return CliRunner().invoke(app, ["simulate", *map(str, words)])


def test_without_data_it_runs_on_made_up_patients_and_says_so(tmp_path: Path) -> None:
    done = run("--quick", "--json", *SMALL, "--workers", "1", "--out", tmp_path)
    assert done.exit_code == 0, done.output
    assert "made-up patients" in done.stderr
    told = json.loads(done.stdout.strip().splitlines()[-1])
    assert set(told["strategies"]) == {"entropy", "foreground_random"}
    assert {"aubc_mean", "aubc_ci", "labels_for_95"} <= set(told["strategies"]["entropy"])
    assert told["default"] == "random"
    assert told["seeds"] == 1
    assert told["data"].startswith("synthetic")
    assert json.loads((tmp_path / "simulation.json").read_text()) == told
    assert "entropy" in (tmp_path / "simulation.md").read_text()
    assert (tmp_path / "simulation.png").read_bytes().startswith(b"\x89PNG")


def test_what_cannot_be_is_one_line(tmp_path: Path) -> None:
    for words, said in (
        (("--strategy", "best"), "unknown strategy"),
        (("--strategy", "localisation"), "detector"),
        (("--unit", "voxel"), "slice or case"),
        (("--data", tmp_path), "expected folders"),
        (("--model", "resunet25d", "--out", tmp_path / "x", "--workers", "1"), "sees 3 slices"),
    ):
        done = run("--quick", *words)
        assert done.exit_code == 2, done.output
        assert said in done.stderr
        assert done.stdout == ""
