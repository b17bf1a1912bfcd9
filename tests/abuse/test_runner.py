"""The list of holes is whole, and what is open would be said."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from tests.abuse import __main__ as runner
from tests.abuse.holes import HOLES
from tests.abuse.schema import SITES, ask

TESTS = Path(__file__).parents[1]


def _functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_every_test_that_is_named_exists_and_every_test_here_is_named() -> None:
    named = {test for tests in HOLES.values() for test in tests}
    for test in named:
        file, _, function = test.partition("::")
        assert function in _functions(TESTS / file), test
    here = {
        f"abuse/{path.name}::{name}" for path in Path(__file__).parent.glob("test_*.py") for name in _functions(path)
    }
    assert {test for test in here if "test_runner" not in test} <= named


def test_an_open_hole_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "@pytest.mark.parametrize('case', [1, 2])\n"
        "def test_one_case_fails(case):\n    assert case == 1\n"
        "def test_skipped():\n    pytest.skip('no')\n"
        "def test_passes():\n    pass\n"
    )
    monkeypatch.setattr(runner, "TESTS", tmp_path)
    monkeypatch.setattr(runner.Outcomes, "root", "")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    holes = {name: (f"test_it.py::test_{name}",) for name in ("one_case_fails", "skipped", "passes", "absent")}
    monkeypatch.setattr(runner, "HOLES", holes)
    assert runner.main(["--only", "s"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0].split()[0] for line in lines[:-1]] == ["OPEN", "OPEN", "closed", "OPEN"]
    assert json.loads(lines[-1]) == {"closed": 1, "open": 3}


# The one of DICOM has all addresses; `make abuse` makes up more, for both.
@pytest.mark.parametrize("site", [pytest.param(s, marks=[] if s == "DICOM" else pytest.mark.slow) for s in SITES])
def test_made_up_requests_are_no_error_of_the_server(site: str) -> None:
    """A few only; `make abuse` makes up more."""
    found = ask(site, named=True, examples=2)
    assert found.failures == ()
    assert found.cases > 50
