"""The PACS goes away and comes back: what needs it says so, everything else goes on, labels are kept meanwhile."""

from __future__ import annotations

from pathlib import Path

import pydicom

from tests.dicom.phantoms import GRIDS, sample, write_dicom_series
from tests.faults.machine import answers_as_labels, machine, refused
from tests.orthanc import Orthanc, require_orthanc

GRID = GRIDS["axial"]


def test_a_pacs_that_is_stopped_and_started(tmp_path: Path) -> None:
    require_orthanc()
    known = _series(tmp_path / "known")
    unread = _series(tmp_path / "unread")
    pacs = Orthanc(tmp_path / "orthanc")
    with pacs.running():
        for files in (known, unread):
            pacs.store(files)
        with machine(pacs.dicomweb, tmp_path) as server:
            first, second = answers_as_labels(server, _uid(known), 2)
            assert server.save(_uid(known), first).status_code == 200
            pacs.stop()
            for _ in range(2):
                refused(server.infer(_uid(unread)), 502, 503, 504)
                server.is_well()
            assert server.infer(_uid(known)).status_code in (200, 502, 503, 504)
            assert server.label(_uid(known)).content == first
            studies = server.ask("GET", "/proxy/dicom/qido/studies")
            assert studies.status_code in (200, 502, 503, 504)
            server.is_well()
            pacs.start()
            assert server.infer(_uid(unread)).status_code == 200
            assert server.save(_uid(known), second).status_code == 200
            assert server.label(_uid(known)).content == second
            server.is_well()


def _series(folder: Path) -> list[Path]:
    return write_dicom_series(folder, GRID, sample(GRID), SeriesDescription="FLAIR")


def _uid(files: list[Path]) -> str:
    return str(pydicom.dcmread(files[0], stop_before_pixels=True).SeriesInstanceUID)
