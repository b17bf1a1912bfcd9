"""``tumorseg effort`` over labels that were saved: the table, the JSON and the file, each with the same figures."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tumorseg.cli import app
from tumorseg.labels.effort import Edit
from tumorseg.labels.efforts import Effort, Efforts
from tumorseg.labels.history import LabelHistory

EDIT = Edit(dice=0.8, changed=12, added=5, removed=7, final=48, path=9, ml=0.006)
SAME = Edit(dice=1.0, changed=0, added=0, removed=0, final=48, path=0, ml=0.0)


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    folder = tmp_path / "studies"
    history = LabelHistory(folder / "labels")
    efforts = Efforts(history.database)
    efforts.add(Effort("a", "one", "ann", 1_800_000_000.0, 90.0, "answer", "resunet", "v1", EDIT))
    efforts.add(Effort("b", "two", "[b]bob[/b]", 1_800_000_100.0, None, "answer", "resunet", "v2", SAME))
    efforts.add(Effort("c", "three", "ann", 1_800_000_200.0, 300.0))
    history.close()
    return folder


def run(*words: Any) -> Any:
    return CliRunner().invoke(app, [str(word) for word in ("effort", *words)])


def test_the_table_has_a_row_for_each_version(studies: Path) -> None:
    result = run(studies)
    assert result.exit_code == 0, result.output
    rows = [line for line in result.stdout.splitlines() if "│" in line]
    assert [row.split("│")[1].strip() for row in rows] == ["resunet v1", "resunet v2", "nothing: drawn anew"]
    assert [cell.strip() for cell in rows[0].split("│")[2:6]] == ["1", "1.5", "0.800", "-"]
    assert rows[1].rstrip("│ ").endswith("100%")


def test_json_and_csv_hold_the_cases(studies: Path, tmp_path: Path) -> None:
    result = run(studies / "labels", "--json", "--csv", tmp_path / "effort.csv")
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert [(one["version"], one["cases"], one["unchanged"]) for one in said["rounds"]] == [
        ("v1", 1, 0.0),
        ("v2", 1, 1.0),
        ("", 1, None),
    ]
    assert said["cases"][0]["share"] == 0.25
    assert said["cases"][0]["saved"] == "2027-01-15T08:00:00+00:00"
    with (tmp_path / "effort.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["image"], row["author"], row["path"], row["unchanged"]) for row in rows] == [
        ("one", "ann", "9", "False"),
        ("two", "[b]bob[/b]", "0", "True"),
        ("three", "ann", "", ""),
    ]


def test_nothing_saved_yet_says_so_and_writes_a_head_only(tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    result = run(tmp_path / "labels", "--csv", tmp_path / "effort.csv")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "no final label" in result.stderr
    assert (tmp_path / "effort.csv").read_text().count("\n") == 1


def test_a_misspelled_folder_is_an_error(tmp_path: Path) -> None:
    result = run(tmp_path / "nowhere")
    assert result.exit_code == 2
    assert "no labels in" in result.stderr
