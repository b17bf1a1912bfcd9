"""``tumorseg import``, ``export`` and ``check`` as people and scripts use them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from tests.annotations.sets import random_set
from tests.annotations.test_round_trips import write
from tumorseg.cli import app

RUNNER = CliRunner()


def run(*words: object) -> Result:
    return RUNNER.invoke(app, [str(word) for word in words])


def ok(*words: object) -> Result:
    result = run(*words)
    assert result.exit_code == 0, result.output
    return result


def refused(*words: object) -> str:
    """Run what must be refused and return the one line that says why."""
    result = run(*words)
    assert result.exit_code == 2, result.output
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("error: ")
    return str(line)


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    write(random_set(tmp_path / "made", ["polygon"], seed=1), "voc", tmp_path / "voc")
    return tmp_path / "voc"


def test_in_and_out(voc: Path, tmp_path: Path) -> None:
    result = ok("import", "voc", voc, tmp_path / "store")
    assert "6 images imported, 6 labelled with" in result.stdout
    assert "tumorseg serve" in result.stderr
    assert "6 images exported as coco" in ok("export", "coco", tmp_path / "store", tmp_path / "coco").stdout
    assert len(json.loads((tmp_path / "coco" / "annotations.json").read_text())["images"]) == 6


def test_json_says_what_was_left_out(voc: Path, tmp_path: Path) -> None:
    picture = next((voc / "JPEGImages").iterdir())
    picture.write_bytes(b"")
    told = json.loads(ok("import", "voc", voc, tmp_path / "store", "--skip-bad", "--json").stdout)
    assert told["images"] == 5
    assert [problem["file"] for problem in told["left_out"]] == [str(picture)]
    assert "left out: " in ok("import", "voc", voc, tmp_path / "other", "--skip-bad").stderr


def test_a_dry_run(voc: Path, tmp_path: Path) -> None:
    assert "would be imported" in ok("import", "voc", voc, tmp_path / "store", "--dry-run").stdout
    assert not (tmp_path / "store").exists()


def test_refusals_are_one_line_and_leave_nothing(voc: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    assert "unknown annotation format 'tiff'; known: " in refused("import", "tiff", voc, store)
    assert "does not exist" in refused("import", "voc", tmp_path / "none", store)
    assert "unknown class" in refused("import", "voc", voc, store, "--labels", "cyst")
    assert "different names separated by commas" in refused("import", "voc", voc, store, "--labels", "a,,b")
    assert "no VIA annotations" in refused("import", "via", voc, store)
    file = next((voc / "Annotations").iterdir())
    file.write_text("")
    assert file.name in refused("import", "voc", voc, store)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made", "voc"]


def test_check_says_what_is_there_twice(voc: Path, tmp_path: Path) -> None:
    clean = ok("check", voc, "--strict")
    assert "6 pictures (4 in train, 2 in val): no problems" in clean.stdout
    pictures = sorted((voc / "JPEGImages").iterdir())
    copy = voc / "JPEGImages" / "copy.png"
    copy.write_bytes(pictures[0].read_bytes())
    result = run("check", voc, "--strict")
    assert result.exit_code == 1
    assert "duplicate" in result.stdout
    told = json.loads(ok("check", voc, "--json").stdout)
    assert told["kinds"] == {"unannotated_picture": 1, "duplicate_across_splits": 1}
    assert {problem["file"] for problem in told["problems"]} >= {str(copy)}


def test_check_compares_folders_as_parts(voc: Path, tmp_path: Path) -> None:
    write(random_set(tmp_path / "again", ["polygon"], seed=1), "coco", tmp_path / "coco")
    told = json.loads(ok("check", voc, tmp_path / "coco", "--json").stdout)
    assert told["kinds"] == {"duplicate_across_splits": 6}
    assert told["parts"] == {str(voc): 6, str(tmp_path / "coco"): 6}
