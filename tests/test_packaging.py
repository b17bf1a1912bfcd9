"""What is installed is complete, light to import, and says the same version everywhere."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

import tumorseg

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("torch", "monai", "numpy", "monailabel", "SimpleITK", "pydicom", "scipy", "fastapi")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCKS = ("lock.txt", "sam2.txt", "uv.txt")


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False, timeout=120)


def test_importing_loads_nothing_heavy() -> None:
    code = f"import sys, tumorseg, tumorseg.cli; print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = python("-c", code)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_importing_prints_and_changes_nothing() -> None:
    code = (
        "import logging, os; before = dict(os.environ), list(logging.root.handlers)\n"
        "import tumorseg, tumorseg.cli\n"
        "assert (dict(os.environ), list(logging.root.handlers)) == before"
    )
    done = python("-W", "error", "-c", code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_help_is_quick() -> None:
    """It loads the command line and nothing behind it; seconds would say how fast this machine is today."""
    code = (
        "import sys; sys.argv = ['tumorseg', '--help']\n"
        "from tumorseg.cli import app\n"
        "try: app()\n"
        "except SystemExit as end: assert not end.code\n"
        f"sys.stderr.write(repr(sorted(set({HEAVY!r}) & set(sys.modules))))"
    )
    done = python("-c", code)
    assert (done.returncode, done.stderr) == (0, "[]")
    assert {"serve", "predict", "train", "evaluate", "models"} <= set(re.findall(r"\w+", done.stdout))


def test_every_requirement_is_met() -> None:
    done = python(str(ROOT / "requirements" / "check.py"))
    assert done.returncode == 0, done.stderr


def test_one_version_everywhere() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    newest = re.search(r"^## \[(\d[^]]*)\] - (\S+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    said = {PROJECT["version"], tumorseg.__version__, version("tumorseg"), str(citation["version"]), newest[1]}
    assert said == {tumorseg.__version__}
    assert str(citation["date-released"]) == newest[2]


@pytest.mark.parametrize("name", LOCKS)
def test_lock_files_are_pinned_and_hashed(name: str) -> None:
    text = (ROOT / "requirements" / name).read_text().replace("\\\n", " ")
    entries = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    assert entries
    loose = [entry for entry in entries if not re.match(r"[\w.\[\]-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", entry)]
    assert not loose


def test_lock_holds_what_the_project_asks_for() -> None:
    locked = {
        match[1].lower().replace("_", "-")
        for name in LOCKS
        for match in re.finditer(r"^([\w.-]+)==", (ROOT / "requirements" / name).read_text(), re.MULTILINE)
    }
    asked = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]
    names = {re.match(r"[\w.-]+", entry)[0].lower().replace("_", "-") for entry in asked}  # type: ignore[index]
    assert names - locked == {"numpymaxflow", "pydicom-seg"}  # ours, in compat/


def test_stand_ins_are_ours() -> None:
    assert "tumorseg" in version("pydicom-seg")
    assert "tumorseg" in version("numpymaxflow")


def test_package_data_is_declared() -> None:
    """Every file beside the code that the code opens is in the wheel: its kind stands in pyproject.toml."""
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["tumorseg"]
    suffixes = {Path(pattern).suffix or pattern for pattern in patterns}
    kinds = {
        path.suffix or path.name
        for path in (ROOT / "lib" / "tumorseg").rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc", ".typed")
    }
    assert kinds <= suffixes


@pytest.mark.parametrize("given", ["3.10", "3.13"])
def test_other_pythons_are_refused_by_name(given: str) -> None:
    from packaging.specifiers import SpecifierSet

    assert given not in SpecifierSet(PROJECT["requires-python"])


@pytest.mark.parametrize("torch", ["2.11.0", "2.12.1"])
@pytest.mark.parametrize("python_version", ["3.11", "3.12"])
def test_gpu_hosts_are_admitted(torch: str, python_version: str) -> None:
    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet

    ranges = {r.name: r.specifier for r in map(Requirement, PROJECT["dependencies"])}
    assert torch in ranges["torch"]
    assert {"2.11.0": "0.26.0", "2.12.1": "0.27.1"}[torch] in ranges["torchvision"]
    assert python_version in SpecifierSet(PROJECT["requires-python"])


def test_install_refuses_a_python_that_does_not_fit(tmp_path: Path) -> None:
    pretender = tmp_path / "python3"
    pretender.write_text("#!/bin/sh\nexit 1\n")
    pretender.chmod(0o755)
    done = subprocess.run(
        [ROOT / "requirements" / "install.sh"],
        env={"PATH": "/usr/bin:/bin", "PYTHON": str(pretender), "VENV": str(tmp_path / "venv")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "expected Python 3.11 or 3.12" in done.stderr
    assert "python3-venv" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_every_import_is_declared() -> None:
    """Nothing is imported that is installed only because something else needs it."""
    import ast
    from importlib.metadata import packages_distributions

    imported: dict[str, str] = {}
    for path in (*(ROOT / "lib").rglob("*.py"), *(ROOT / "apps").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            imported.update({name.partition(".")[0]: path.name for name in names if name})
    owners = packages_distributions()
    declared = {re.match(r"[\w.-]+", d)[0].lower().replace("_", "-") for d in PROJECT["dependencies"]}  # type: ignore[index]
    declared |= {"tumorseg"}
    never_installed = {re.match(r"[\w.-]+", d)[0].lower() for d in PROJECT["optional-dependencies"]["nninteractive"]}  # type: ignore[index]
    undeclared = {
        name: where
        for name, where in imported.items()
        if name not in sys.stdlib_module_names
        and name.lower() not in never_installed
        and not declared & {owner.lower().replace("_", "-") for owner in owners.get(name, ())}
    }
    assert not undeclared
