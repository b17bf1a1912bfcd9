"""``tumorseg fsck`` and ``tumorseg backup`` as an operator types them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from tests.labels.made import ANNA, label, value_of
from tumorseg.cli import app
from tumorseg.labels.history import LabelHistory


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    label(tmp_path / "studies" / "case.nii.gz")
    history = LabelHistory(tmp_path / "studies" / "labels")
    for number in range(3):
        history.save("case", "final", label(tmp_path / "a.nii.gz", number + 1), ANNA)
    history.close()
    return tmp_path / "studies"


@pytest.mark.parametrize("what", [".", "labels"])
def test_labels_are_named_by_themselves_or_by_their_studies(what: str, studies: Path) -> None:
    result = run("fsck", studies / what)
    assert (result.exit_code, result.stdout) == (0, "3 versions: no problems\n")


def test_a_problem_is_told_and_put_right(studies: Path) -> None:
    (studies / "labels" / "final" / "case.nii.gz").unlink()
    found = run("fsck", studies)
    assert found.exit_code == 1
    assert "final/case" in found.stdout
    as_json = run("fsck", studies, "--json")
    assert as_json.exit_code == 1
    assert json.loads(as_json.stdout)["kinds"] == {"copy_differs": 1}
    repaired = run("fsck", studies, "--repair", "--json")
    assert repaired.exit_code == 0
    assert json.loads(repaired.stdout)["problems"][0]["done"] == "copied anew"
    assert run("fsck", studies).exit_code == 0


def test_what_cannot_be_put_right_stays_a_problem(studies: Path) -> None:
    history = LabelHistory(studies / "labels")
    history.path(history.versions("case")[0]).unlink()
    history.close()
    result = run("fsck", studies, "--repair", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["unsolved"] == 1


def test_there_and_back(studies: Path, tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    made = run("backup", studies, backup, "--json")
    assert json.loads(made.stdout) == {"versions": 3, "copied": 3, "damaged": []}
    assert "0 label files copied now" in run("backup", studies, backup).stdout
    assert run("fsck", backup).exit_code == 0
    shutil.rmtree(studies / "labels")
    assert run("fsck", studies / "labels").exit_code == 2
    restored = run("backup", studies / "labels", backup, "--restore", "--json")
    assert restored.exit_code == 0, restored.output
    assert json.loads(restored.stdout)["versions"] == 3
    assert value_of(studies / "labels" / "final" / "case.nii.gz") == 3
    assert run("fsck", studies).exit_code == 0


def test_a_backup_that_is_not_complete_says_so(studies: Path, tmp_path: Path) -> None:
    history = LabelHistory(studies / "labels")
    lost = history.versions("case")[0]
    history.path(lost).unlink()
    history.close()
    result = run("backup", studies, tmp_path / "backup")
    assert result.exit_code == 1
    assert lost.uid in result.stderr


def test_what_cannot_be_is_said_in_one_line(studies: Path, tmp_path: Path) -> None:
    for words in (("fsck", tmp_path / "missing"), ("backup", studies, studies), ("backup", tmp_path / "no", tmp_path)):
        result = run(*words)
        assert result.exit_code == 2, result.output
        assert result.stderr.startswith("error: ")
        assert len(result.stderr.strip().splitlines()) == 1
