"""``python -m tests.abuse``: one line a known hole, closed or OPEN; the last line counts them. ``make abuse`` runs it.

``--only WORD`` looks at the holes with that word in their name; ``--examples N`` sets how much schemathesis makes up.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.abuse.holes import HOLES
from tests.abuse.schema import SITES, ask

TESTS = Path(__file__).parents[1]


class Outcomes:
    """A pytest plugin that notes how each test function ended, over all its cases."""

    root = "tests/"

    def __init__(self) -> None:
        self.passed: dict[str, int] = defaultdict(int)
        self.wrong: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Note one step of one case."""
        name = _function(report.nodeid)
        if report.failed:
            self.wrong.setdefault(name, f"{report.nodeid.rpartition('::')[2]}: {_reason(report)}")
        elif report.skipped:
            self.wrong.setdefault(name, f"{report.nodeid.rpartition('::')[2]} was not tried")
        elif report.when == "call":
            self.passed[name] += 1

    def pytest_collectreport(self, report: Any) -> None:
        """Note a file that cannot be read."""
        if report.failed:
            self.wrong[report.nodeid] = _reason(report)

    def why_open(self, tests: tuple[str, ...]) -> str:
        """Say why a hole counts as open, ``""`` where it is closed."""
        for test in tests:
            name = f"{self.root}{test}"
            wrong = self.wrong.get(name) or self.wrong.get(name.partition("::")[0])
            if wrong:
                return wrong
            if not self.passed[name]:
                return f"{name} did not run"
        return ""


def _function(nodeid: str) -> str:
    return str(nodeid).partition("[")[0]


def _reason(report: Any) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash is not None else str(report.longrepr)
    return " ".join(str(text).split())[:200]


def try_holes(holes: Mapping[str, tuple[str, ...]]) -> Outcomes:
    """Run the tests of these holes, each once."""
    outcomes = Outcomes()
    tests = sorted({test for named in holes.values() for test in named if _exists(test)})
    nodes = [f"{TESTS / test.partition('::')[0]}::{test.partition('::')[2]}" for test in tests]
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = pytest.main(["-q", "-p", "no:cacheprovider", "--no-header", *nodes], plugins=[outcomes])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        sys.stderr.write(said.getvalue()[-3000:])
    return outcomes


def _exists(test: str) -> bool:
    """Tell whether there is such a test: where one is missing pytest runs none at all."""
    file, _, function = test.partition("::")
    return (TESTS / file).is_file() and f"\ndef {function}(" in (TESTS / file).read_text()


def main(arguments: list[str]) -> int:
    """Try everything and say what is open."""
    parser = argparse.ArgumentParser(prog="python -m tests.abuse")
    parser.add_argument("--only", default="")
    parser.add_argument("--examples", type=int, default=10)
    chosen = parser.parse_args(arguments)
    holes = {hole: tests for hole, tests in HOLES.items() if chosen.only.lower() in hole.lower()}
    outcomes = try_holes(holes)
    count = {"closed": 0, "open": 0}
    for hole, tests in holes.items():
        _say(count, hole, outcomes.why_open(tests))
    if not chosen.only:
        for site in SITES:
            for named in (False, True):
                found = ask(site, named=named, examples=chosen.examples)
                _say(
                    count,
                    f"an error of the server by a made-up request ({found.site}, {found.cases} requests)",
                    "; ".join(found.failures),
                )
    sys.stdout.write(json.dumps(count) + "\n")
    return 1 if count["open"] or not count["closed"] else 0


def _say(count: dict[str, int], hole: str, why: str) -> None:
    count["open" if why else "closed"] += 1
    sys.stdout.write(f"OPEN    {hole}: {why}\n" if why else f"closed  {hole}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
