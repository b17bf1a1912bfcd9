"""What README and docs/ say is there: links, commands, options, and figures that a command wrote."""

from __future__ import annotations

import configparser
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "sample_data").glob("*.md"))]
IDS = [page.relative_to(ROOT).as_posix() for page in PAGES]


def anchors(page: Path) -> set[str]:
    """The addresses of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def commands(page: Path) -> list[str]:
    """Every command in a page: indented lines, fenced lines and inline code."""
    text = page.read_text()
    return re.findall(r"^ {4}(\S.*)$", text, re.MULTILINE) + re.findall(r"`([^`\n]+)`", text)


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        name, _, anchor = target.partition("#")
        if re.match(r"https?:", target):
            continue
        path = (page.parent / name) if name else page
        if not path.exists() or (anchor and anchor not in anchors(path)):
            broken.append(target)
    assert not broken


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {match[1] for command in commands(page) if (match := re.match(r"make ([a-z][a-z-]+)", command))}
    assert named <= targets


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_commands_and_options_exist(page: Path) -> None:
    import typer

    from tumorseg.cli import app

    known = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for command in commands(page):
        match = re.match(r"tumorseg ([a-z]+)\b(.*)", command.split("  #")[0])
        if match:
            assert match[1] in known, command
            said, words = known[match[1]], match[2].split()
            if hasattr(said, "commands") and words and words[0] in said.commands:
                said = said.commands[words[0]]  # a command of a group, such as `tumorseg user add`
            options = {option for parameter in said.params for option in (*parameter.opts, *parameter.secondary_opts)}
            assert set(re.findall(r"(?<=\s)--?[a-z][a-z0-9-]*", match[2])) <= options, command


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_named_files_exist(page: Path) -> None:
    named = re.findall(
        r"`((?:lib|tests|apps|compat|requirements|benchmarks|sample_data|docs)/[\w./-]*)`", page.read_text()
    )
    written_later = ("sample_data/expected/lgg_default.nii.gz", "benchmarks/results/serving.json")
    missing = [name for name in named if not (ROOT / name.replace("NAME", "resunet25d")).exists()]
    assert not set(missing) - set(written_later)


def test_a_training_that_runs_out_of_memory_leaves_the_server_of_our_unit_running() -> None:
    """systemd's default stops the whole unit, and the job's process is the first that the kernel ends."""
    text = (ROOT / "docs" / "operating.md").read_text()
    (fenced,) = re.findall(r"^```ini\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    unit = configparser.ConfigParser(strict=False, interpolation=None)  # Environment= may be said several times
    unit.read_string(fenced)
    assert unit["Service"]["OOMPolicy"] == "continue"


def test_tables_are_what_the_commands_wrote() -> None:
    done = subprocess.run([sys.executable, ROOT / "docs" / "make_tables.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stderr}run `make tables`"


def test_tables_are_filled_from_their_sources(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("make_tables", ROOT / "docs" / "make_tables.py")
    assert spec is not None
    assert spec.loader is not None
    tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tables)
    tables.CARDS = tmp_path
    measured = (
        '{"patients": 3, "dice_mean": 0.5, "dice_ci": [0.25, 0.75], "dice_median": 0.6, "dice_median_ci": [0.4, 0.8],'
    )
    measured += ' "empty_slices": 40, "false_positive_slices": 2}'
    (tmp_path / "some.json").write_text(f'{{"model": "some", "version": "v", "measured": {{"test": {measured}}}}}')
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- table:accuracy -->\n| old |\n<!-- /table:accuracy -->\nafter\n")
    assert tables.fill(page, write=True)
    lines = page.read_text().splitlines()
    assert "| `some`, test | 3 | 0.500 [0.250, 0.750] | 0.600 [0.400, 0.800] | 2 / 40 |" in lines
    assert (lines[0], lines[-1]) == ("before", "after")
    assert "| old |" not in lines
    assert not tables.fill(page, write=True)
