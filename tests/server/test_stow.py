"""Instances that would be stored and then fill the memory of whoever looks at them."""

from __future__ import annotations

import io
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless
from starlette.testclient import TestClient

from tests.dicom.phantoms import GRIDS, sample, write_dicom_series
from tests.serving import config_for, in_process

AXIAL = GRIDS["axial"]


def _bytes(dataset: pydicom.Dataset) -> bytes:
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    return buffer.getvalue()


def _store(client: TestClient, part: bytes) -> tuple[int, list[int]]:
    body = b"--x\r\nContent-Type: application/dicom\r\n\r\n" + part + b"\r\n--x--\r\n"
    headers = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=x'}
    answer = client.post("/proxy/dicom/wado/studies", content=body, headers=headers)
    failed = answer.json().get("00081198", {}).get("Value", [])
    return answer.status_code, [one["00081197"]["Value"][0] for one in failed]


@pytest.mark.parametrize("what", ["frames without end", "a frame larger than its header says", "honest"])
def test_what_unpacks_to_too_much_is_not_stored(what: str, tmp_path: Path) -> None:
    write_dicom_series(tmp_path / "studies", AXIAL, sample(AXIAL), SeriesDescription="FLAIR")
    data = pydicom.dcmread(write_dicom_series(tmp_path / "other", AXIAL, sample(AXIAL)[:1])[0])
    if what == "frames without end":
        data.NumberOfFrames = 50_000
    elif what != "honest":
        data.file_meta.TransferSyntaxUID = JPEG2000Lossless
        large = imagecodecs.jpeg2k_encode(np.zeros((4000, 4000), np.uint16), codecformat="j2k", reversible=True)
        data.PixelData = encapsulate([bytes(large)])
        data["PixelData"].VR, data["PixelData"].is_undefined_length = "OB", True
    before = sorted((tmp_path / "studies").rglob("*"))
    with in_process(config_for(tmp_path / "studies", tmp_path, max_decoded_mb=64)) as client:
        status, reasons = _store(client, _bytes(data))
    if what == "honest":
        assert (status, reasons) == (200, [])
    else:
        assert (status, reasons) == (409, [0xC000])
        assert sorted((tmp_path / "studies").rglob("*")) == before
    assert not list((tmp_path / "cache" / "incoming").rglob("*"))
