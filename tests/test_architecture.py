"""The rooms of the house: which may import which, who may be heavy, and what no committed file may say."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LIB = ROOT / "lib"

# Imports point from a later row to the same or an earlier one, never to a later one.
ORDER = (
    ("__init__", "errors", "types", "geometry", "config", "settings", "folders", "registry"),
    ("io", "dicom", "annotations", "transforms", "networks", "metrics", "access", "audit"),
    ("labels", "versions", "models", "interactive"),
    ("training", "active_learning", "evaluation", "batch"),
    ("adapters",),
    ("server", "cli", "__main__"),
)
TIER = {room: tier for tier, rooms in enumerate(ORDER) for room in rooms}
# The registry names the contract in its annotations; at run time it imports nothing (see the light test below).
TYPES_ONLY = {
    ("tumorseg.registry", "tumorseg.active_learning.types"),
    ("tumorseg.registry", "tumorseg.interactive.base"),
    ("tumorseg.registry", "tumorseg.models.base"),
    ("tumorseg.registry", "tumorseg.models.classifier"),
}

MAY_IMPORT_MONAILABEL = ("tumorseg.adapters", "tumorseg.server", "apps.tumorseg")
# `tumorseg --help` and `import tumorseg` load these and nothing heavier.
LIGHT_ROOTS = ("tumorseg", "tumorseg.errors", "tumorseg.config", "tumorseg.registry", "tumorseg.cli")
LIGHT_PACKAGES = {*sys.stdlib_module_names, "typer", "click", "rich", "yaml"}


def module_name(path: Path) -> str:
    parts = path.relative_to(LIB if path.is_relative_to(LIB) else ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {module_name(path): path for top in (LIB / "tumorseg", ROOT / "apps") for path in top.rglob("*.py")}


def imports(path: Path, *, at_import_only: bool = False) -> Iterator[str]:
    """Yield the modules that a file imports, absolute; also inside functions unless ``at_import_only``."""
    package = module_name(path) if path.name == "__init__.py" else module_name(path).rpartition(".")[0]
    pending: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while pending:
        node = pending.pop()
        if at_import_only and (isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) or type_checking(node)):
            continue
        pending.extend(ast.iter_child_nodes(node))
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.rsplit(".", node.level - 1)[0] if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            yield from (resolved(module, alias.name) for alias in node.names)


def type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def resolved(module: str, name: str) -> str:
    """Return ``module.name`` where that is a module of ours (``from tumorseg import registry``), else ``module``."""
    return f"{module}.{name}" if f"{module}.{name}" in SOURCES else module


def room(module: str) -> str:
    if module.startswith("apps."):
        return "cli"  # the app stands where the command line stands: at the end
    return module.split(".")[1] if "." in module else "__init__"


def test_there_is_something_to_check() -> None:
    assert {"tumorseg", "tumorseg.geometry", "tumorseg.registry"} <= SOURCES.keys()
    assert "tumorseg.geometry" in set(imports(SOURCES["tumorseg.types"]))
    assert {room(module) for module in SOURCES} <= TIER.keys()


@pytest.mark.parametrize("module", sorted(SOURCES))
def test_no_arrow_points_back(module: str) -> None:
    ours = {name for name in imports(SOURCES[module]) if name.partition(".")[0] == "tumorseg"}
    back = {name for name in ours if TIER[room(name)] > TIER[room(module)] and (module, name) not in TYPES_ONLY}
    assert not back, f"{module} imports {sorted(back)}, which stand later in the order of DESIGN.md"


@pytest.mark.parametrize("module", sorted(SOURCES))
def test_only_the_outer_rooms_know_monai_label(module: str) -> None:
    found = [name for name in imports(SOURCES[module]) if name.partition(".")[0] == "monailabel"]
    assert not found or module.startswith(MAY_IMPORT_MONAILABEL), f"{module} imports {found}"


@pytest.mark.parametrize("module", LIGHT_ROOTS)
def test_nothing_heavy_at_import(module: str) -> None:
    if module not in SOURCES:
        pytest.fail(f"{module} does not exist; mend LIGHT_ROOTS")
    seen: set[str] = set()
    pending = [module]
    while pending:
        name = pending.pop()
        if name in seen or name not in SOURCES:
            continue
        seen.add(name)
        for imported in imports(SOURCES[name], at_import_only=True):
            top = imported.partition(".")[0]
            assert top == "tumorseg" or top in LIGHT_PACKAGES, f"{module} loads {imported} through {name}"
            parents = imported.split(".")
            pending.extend(".".join(parents[: end + 1]) for end in range(len(parents)))


@pytest.mark.parametrize(
    ("source", "where", "expected"),
    [
        ("from tumorseg import registry", "tumorseg/io/x.py", {"tumorseg.registry"}),
        ("from ..models import base", "tumorseg/io/x.py", {"tumorseg.models.base"}),
        ("from . import y", "tumorseg/io/__init__.py", {"tumorseg.io"}),
        ("def f():\n    import torch.nn", "tumorseg/io/x.py", {"torch.nn"}),
    ],
)
def test_imports_are_seen(
    source: str, where: str, expected: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "LIB", tmp_path)
    path = tmp_path / where
    path.parent.mkdir(parents=True)
    path.write_text(source)
    assert set(imports(path)) == expected
    assert set(imports(path, at_import_only=True)) == (expected if not source.startswith("def") else set())


def committed_texts() -> Iterator[tuple[str, str]]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        if path.is_file() and not path.is_symlink() and b"\0" not in (head := path.read_bytes())[:8192]:
            yield name, head.decode("utf-8", errors="replace")


def test_no_committed_file_names_a_machine_path_or_a_registry() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: there is no list of committed files")
    # Spelled in pieces, so that this file does not find itself.
    forbidden = re.compile(
        r"(^|[^A-Za-z0-9_.])/(wo"
        r"rk|ro"
        r"ot|fa"
        r"rm)/|ind"
        r"ex-url|pypi\."
        r"org|files\.python"
        r"hosted|registry\.npm"
        r"js"
    )
    found = [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in committed_texts()
        for number, line in enumerate(text.splitlines(), start=1)
        if forbidden.search(line)
    ]
    assert not found, "\n".join(found)
