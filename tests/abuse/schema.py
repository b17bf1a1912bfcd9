"""Everything that our own description of the addresses allows, and what it does not, by schemathesis: never a 5xx.

Each site is asked twice: with whatever the description lets through, and with names that exist, so that what lies
behind a 404 is reached too.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pydicom

from tests.abuse.place import AXIAL
from tests.dicom.phantoms import sample, write_dicom_series, write_nifti
from tests.serving import live

TIMEOUT_S = 600
#: How long one run makes up requests, s.
LONGEST_S = 45


@dataclass(frozen=True)
class Outcome:
    """What one run found.

    Attributes:
        site: what was asked.
        cases: how many requests.
        failures: what went wrong, a line each.
    """

    site: str
    cases: int
    failures: tuple[str, ...]


@contextmanager
def _files(root: Path) -> Iterator[tuple[str, dict[str, str]]]:
    write_nifti(root / "studies" / "case.nii.gz", AXIAL, sample(AXIAL))
    known = {"image": "case", "label": "case", "id": "case", "tag": "final", "model": "threshold", "strategy": "first"}
    with live(root / "studies", root, prewarm="no", models="threshold,blobs", log_level="error") as address:
        yield address, known


@contextmanager
def _dicom(root: Path) -> Iterator[tuple[str, dict[str, str]]]:
    files = write_dicom_series(root / "studies", AXIAL, sample(AXIAL), SeriesDescription="FLAIR")
    header = pydicom.dcmread(files[0], stop_before_pixels=True)
    known = {
        "image": str(header.SeriesInstanceUID), "model": "threshold", "strategy": "random", "tag": "final",
        "study": str(header.StudyInstanceUID), "series": str(header.SeriesInstanceUID),
        "instance": str(header.SOPInstanceUID),
    }  # fmt: skip
    with live(root / "studies", root, prewarm="no", models="threshold,blobs", log_level="error") as address:
        yield address, known


SITES = {"files": _files, "DICOM": _dicom}


def ask(site: str, *, named: bool, examples: int, seed: int = 1) -> Outcome:
    """Start a server of one kind and run schemathesis against it.

    Args:
        site: of :data:`SITES`.
        named: whether names are those that exist.
        examples: requests for each address and phase.
        seed: of what is made up.
    """
    with tempfile.TemporaryDirectory(prefix="abuse-") as folder, SITES[site](Path(folder)) as (address, known):
        title = f"{site}, {'names that exist' if named else 'any names'}"
        return _run(title, address, known if named else {}, Path(folder), examples, seed)


def _run(title: str, address: str, known: dict[str, str], folder: Path, examples: int, seed: int) -> Outcome:
    config = folder / "schemathesis.toml"
    lines = ["[parameters]", *(f"{name} = {json.dumps(value)}" for name, value in known.items())]
    config.write_text("\n".join(lines) + "\n" if known else "")
    command = [sys.executable, "-m", "schemathesis.cli", "--no-color", "--config-file", str(config)]
    command += ["run", f"{address}/openapi.json", "--checks", "not_a_server_error", "--continue-on-failure"]
    command += ["--max-examples", str(examples), "--seed", str(seed), "--generation-database", "none", "--no-shrink"]
    command += ["--request-timeout", "60", "--warnings", "off"]
    command += ["--max-time", str(LONGEST_S)]
    if examples < 5:  # a quick look: the cases that are worked out of the description alone take most of the time
        command += ["--phases", "fuzzing"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, cwd=folder, check=False)
    generated = re.search(r"(\d+) generated", said.stdout)
    failures = re.findall(r"^_+ (.+?) _+$", said.stdout, re.MULTILINE) if said.returncode else []
    if said.returncode and not failures:
        failures = [(said.stdout + said.stderr).strip()[-500:] or "it ended without a word"]
    if not generated and not failures:
        failures = ["it made no request"]
    return Outcome(title, int(generated[1]) if generated else 0, tuple(failures))
