"""What is pinned: hashed, and nothing older than what fixed a known vulnerability. `make audit` asks a database too."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    """The script; it is no package."""
    spec = importlib.util.spec_from_file_location("requirements_audit", ROOT / "requirements" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def _locks() -> dict[str, str]:
    return {name: (ROOT / "requirements" / name).read_text() for name in ("lock.txt", "sam2.txt", "uv.txt")}


def test_what_is_pinned_here_has_no_hole_that_we_know(audit: ModuleType) -> None:
    assert list(audit.offline((ROOT / "pyproject.toml").read_text(), _locks())) == []


@pytest.mark.parametrize("name", ["torch", "pydicom", "monai", "pynetdicom"])
def test_an_old_pin_and_an_old_bound_are_found(audit: ModuleType, name: str) -> None:
    project, locks = (ROOT / "pyproject.toml").read_text(), _locks()
    version = audit.pins(locks["lock.txt"])[name]
    old = locks["lock.txt"].replace(f"\n{name}=={version}", f"\n{name}==0.9", 1)
    assert any(f"pins {name} 0.9" in line for line in audit.offline(project, {**locks, "lock.txt": old}))
    bound = next(line for line in project.splitlines() if line.strip().startswith(f'"{name}>='))
    loose = project.replace(bound, f'  "{name}",', 1)
    assert any(f"admits {name}" in line for line in audit.offline(loose, locks))


def test_a_pin_without_a_hash_is_found(audit: ModuleType) -> None:
    assert audit.unhashed("a==1 \\\n    --hash=sha256:0\nb==2\n") == ["b"]


def test_versions_that_the_database_does_not_know_count_as_not_known(audit: ModuleType) -> None:
    """pip-audit ends with 0 and "no known vulnerabilities" where it could not look up a single one."""
    skipped = {"name": "a", "skip_reason": "not found"}
    assert audit.read_answer(json.dumps({"dependencies": [skipped]})).known == 0
    hole = {"id": "CVE-1", "fix_versions": ["2"]}
    answer = audit.read_answer(json.dumps({"dependencies": [skipped, {"name": "b", "version": "1", "vulns": [hole]}]}))
    assert (answer.asked, answer.known, answer.found) == (2, 1, ("b 1: CVE-1, fixed in 2",))


def test_a_requirement_that_is_not_met_is_found(tmp_path: Path) -> None:
    for name, asks in {"needs-more": "numpy>=9999", "needs-other": "no-such-distribution", "content": "numpy"}.items():
        folder = tmp_path / f"{name.replace('-', '_')}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nRequires-Dist: {asks}\n")
    check = ROOT / "requirements" / "check.py"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, str(check)], env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    said = done.stderr.splitlines()
    assert [line.split(" 1.0 ")[0] for line in said] == ["needs-more", "needs-other"]
