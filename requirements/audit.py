"""Look for known vulnerabilities in what is pinned: what can be told offline, then what a database knows.

Offline: every distribution is pinned and hashed, and nothing is older than the version that fixed a vulnerability we
know of. Online: pip-audit asks its database about every pinned version.

Exit code 0: nothing known. 1: something is known, or a pin is too old. 2: nothing was found offline, but no database
could be asked, so nothing is known either way.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

HERE = Path(__file__).parent
LOCKS = ("lock.txt", "sam2.txt", "uv.txt")
TIMEOUT_S = 300


@dataclass(frozen=True)
class Floor:
    """The first version of a distribution without a vulnerability."""

    name: str
    version: str
    why: str


#: What no older version may come back for; the database may know more.
FLOORS = (
    Floor("torch", "2.10", "CVE-2026-24747"),
    Floor("pydicom", "3.0.2", "CVE-2026-32711"),
    Floor("monai", "1.6.1", "the security fixes of 2025 and 2026"),
    Floor("pynetdicom", "3.0.4", "the security fixes of 2026"),
)


def pins(text: str) -> dict[str, str]:
    """Return name -> version of a lock file."""
    return dict(re.findall(r"^([a-z0-9._-]+)==([^ ;\\]+)", text, re.MULTILINE))


def unhashed(text: str) -> list[str]:
    """List the distributions of a lock file that have no hash."""
    blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)
    return [block.split("==")[0] for block in blocks if "==" in block and "--hash=sha256:" not in block]


def offline(project: str, locks: dict[str, str]) -> Iterator[str]:
    """Yield what is wrong as far as no database is needed."""
    for name, text in locks.items():
        yield from (f"{name}: {distribution} has no hash" for distribution in unhashed(text))
    pinned = {name: version for text in locks.values() for name, version in pins(text).items()}
    wanted = {
        (asked := Requirement(line)).name.lower(): asked for line in tomllib.loads(project)["project"]["dependencies"]
    }
    for floor in FLOORS:
        if Version(pinned.get(floor.name, "0")) < Version(floor.version):
            yield f"lock.txt pins {floor.name} {pinned.get(floor.name)}, before {floor.version} ({floor.why})"
        least = [Version(one.version) for one in wanted[floor.name].specifier if one.operator in (">=", "==")]
        if not least or max(least) < Version(floor.version):
            yield f"pyproject.toml admits {floor.name} before {floor.version} ({floor.why})"


@dataclass(frozen=True)
class Answer:
    """What a database knows: how many versions it was asked about and knew, and the vulnerabilities."""

    asked: int = 0
    known: int = 0
    found: tuple[str, ...] = ()
    error: str = ""


def online(lock: Path) -> Answer:
    """Ask pip-audit's databases about a lock file; the first one that can be reached."""
    answer = Answer()
    for service in ("pypi", "osv"):
        command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--requirement", str(lock), "--format", "json"]
        command += ["--progress-spinner", "off", "--vulnerability-service", service, "--timeout", "10"]
        try:
            said = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
            answer = read_answer(said.stdout) if said.stdout.strip() else Answer(error=_last_line(said.stderr))
        except (subprocess.TimeoutExpired, ValueError) as error:
            answer = Answer(error=f"{type(error).__name__}: {error}"[:200])
        if answer.known:
            break
    return answer


def read_answer(text: str) -> Answer:
    """Read pip-audit's JSON; a version that the database does not have counts as not known."""
    listed = json.loads(text)["dependencies"]
    known = [one for one in listed if "skip_reason" not in one]
    found = [
        f"{one['name']} {one['version']}: {hole['id']}, fixed in {', '.join(hole['fix_versions']) or 'no version yet'}"
        for one in known
        for hole in one["vulns"]
    ]
    return Answer(len(listed), len(known), tuple(found))


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no answer"])[-1][:200]


def main() -> int:
    """Say what is known."""
    locks = {name: (HERE / name).read_text() for name in LOCKS}
    wrong = list(offline((HERE.parent / "pyproject.toml").read_text(), locks))
    for line in wrong:
        sys.stdout.write(f"FOUND  {line}\n")
    sys.stdout.write(f"offline: {sum(len(pins(text)) for text in locks.values())} pins, {len(wrong)} problems\n")
    answers = {name: online(HERE / name) for name in LOCKS}
    for name, answer in answers.items():
        for line in answer.found:
            sys.stdout.write(f"FOUND  {line}\n")
        why = f" ({answer.error})" if answer.error else ""
        sys.stdout.write(
            f"database: {name}: knew {answer.known} of {answer.asked or len(pins(locks[name]))} versions{why}\n"
        )
    if wrong or any(answer.found for answer in answers.values()):
        return 1
    if not all(answer.known for answer in answers.values()):
        sys.stdout.write(
            "NOT KNOWN: no database of vulnerabilities can be reached from here; only the offline part was done\n"
        )
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
