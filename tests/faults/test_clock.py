"""The clock goes backwards, as it does when it is set right: order, sessions and leases do not depend on it."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from tests.dicom.phantoms import GRIDS, sample, write_nifti
from tests.faults.machine import Machine, answers_as_labels, machine, write_studies

GRID = GRIDS["axial"]
_DAY_S = 86_400
# Debian's libfaketime; the one for programs with threads.
_LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)


class Clock:
    """The wall clock of a process that was started with :attr:`environment`; its monotonic one runs as it is."""

    def __init__(self, file: Path) -> None:
        if _LIBRARY is None:
            pytest.skip("libfaketime is not installed (Debian: libfaketime)")
        self._file = file
        self.set(0)
        self.environment = {
            "LD_PRELOAD": str(_LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_RESET": "1",
        }

    def set(self, offset_s: int) -> None:
        """Move the clock away from the right time."""
        self._file.write_text(f"{offset_s:+d}\n")


def test_the_order_of_labels_is_not_the_clock_s(tmp_path: Path) -> None:
    write_studies(tmp_path / "studies", GRID)
    clock = Clock(tmp_path / "clock")
    with machine(tmp_path / "studies", tmp_path, environment=clock.environment) as server:
        labels = answers_as_labels(server, "case0", 4)
        for number, offset in enumerate((0, -_DAY_S, -3 * _DAY_S, _DAY_S)):
            clock.set(offset)
            assert server.save("case0", labels[number]).status_code == 200
            assert _is_moved(server, offset), "the server's clock was not moved: the test saw nothing"
            assert server.label("case0").content == labels[number], f"after the clock moved by {offset} s"
            server.is_well()
    with machine(tmp_path / "studies", tmp_path) as server:
        assert server.label("case0").content == labels[-1]


def test_what_lasts_for_a_time(tmp_path: Path) -> None:
    write_studies(tmp_path / "studies", GRID)
    own = write_nifti(tmp_path / "own.nii.gz", GRID, sample(GRID)).read_bytes()
    clock = Clock(tmp_path / "clock")
    with machine(tmp_path / "studies", tmp_path, environment=clock.environment) as server:
        opened = server.ask("PUT", "/session/", files={"files": ("own.nii.gz", own)}).json()["session_id"]
        clock.set(-_DAY_S)
        assert server.ask("GET", f"/session/{opened}").status_code == 200
        assert server.ask("POST", "/activelearning/first", json={}).json()["id"] == "case0"
        form = {"data": {"params": "{}"}, "params": {"session_id": opened, "output": "image"}}
        assert server.ask("POST", "/infer/threshold", **form).status_code == 200
        (label,) = answers_as_labels(server, "case0", 1)
        assert server.save("case0", label).status_code == 200
        assert server.ask("POST", "/activelearning/first", json={}).json()["id"] == "case1"
        for path in ("/datastore/?output=all", "/healthz", "/readyz", "/metrics"):
            assert server.ask("GET", path).status_code == 200, path
        server.is_well()


def _is_moved(server: Machine, offset_s: int) -> bool:
    """Tell by the header of its answers whether the server's wall time is off by this (it is written once a second)."""
    for _ in range(20):
        said = parsedate_to_datetime(server.ask("GET", "/info/").headers["date"]).timestamp()
        if abs(said - time.time() - offset_s) < 600:
            return True
        time.sleep(0.3)
    return False
