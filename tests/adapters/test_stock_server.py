"""The app under MONAI Label's own server: a folder of NIfTI, a folder of DICOM, a DICOMweb address.

Starting MONAI Label imports all of MONAI, which takes up to half a minute on a small machine.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from tests.dicom.phantoms import GRIDS, sample, write_dicom_series, write_nifti
from tests.orthanc import orthanc, require_orthanc
from tests.serving import EXTRA_MODELS, OHIF_PARAMS, ROOT, read_label, tumour_mask

GRID = GRIDS["oblique"]
START_TIMEOUT_S = 240


@contextmanager
def stock_server(studies: str, scratch: Path) -> Iterator[str]:
    """Run MONAI Label's server with our app, cut off from every proxy and network setting, and give its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    conf = {"models": "threshold", "extra_models": EXTRA_MODELS, "cache": str(scratch / "cache")}
    command = [sys.executable, "-m", "monailabel.main", "start_server", "--app", str(ROOT / "apps" / "tumorseg")]
    command += ["--studies", studies, "--host", "127.0.0.1", "--port", str(port)]
    command += [part for pair in conf.items() for part in ("--conf", *pair)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HOME": str(scratch)}
    with (scratch / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=scratch, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield _started(f"http://127.0.0.1:{port}", process, scratch / "log")
    finally:
        process.terminate()
        process.wait(30)


def _started(address: str, process: subprocess.Popen[bytes], log: Path) -> str:
    end = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(f"{address}/info/", timeout=START_TIMEOUT_S).close()
            return address
        except urllib.error.URLError:
            time.sleep(0.5)
    raise AssertionError(log.read_text()[-3000:])


def _infer(address: str, image_id: str, **params: Any) -> tuple[int, bytes]:
    query = urllib.parse.urlencode({"image": image_id, "output": "image"})
    form = urllib.parse.urlencode({"params": json.dumps({**OHIF_PARAMS, **params})}).encode()
    try:
        with urllib.request.urlopen(f"{address}/infer/threshold?{query}", data=form) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def _check(address: str, image: str, scratch: Path) -> None:
    """Segment, see the mask on the tumour, and that a path is no image."""
    info = json.load(urllib.request.urlopen(f"{address}/info/"))
    assert list(info["models"]) == ["threshold"]
    assert info["datastore"]["total"] == 1
    status, data = _infer(address, image)
    assert status == 200, data
    (scratch / "answer.nrrd").write_bytes(data)
    voxels, grid = read_label(scratch / "answer.nrrd")
    np.testing.assert_array_equal(voxels > 0, tumour_mask(grid))
    outside = write_nifti(scratch / "outside.nii.gz", GRID, sample(GRID))
    assert _infer(address, str(outside))[0] in (404, 422)
    assert _infer(address, image, image=str(outside))[0] in (404, 422)
    assert _infer(address, image, session={"image": str(outside)}, image=str(outside))[0] == 422
    with urllib.request.urlopen(f"{address}/datastore/image?image={image}") as download:
        (scratch / f"image{'.nrrd' if image != 'case1' else '.nii.gz'}").write_bytes(download.read())
    _, seen = read_label(next(scratch.glob("image.*")))
    assert seen.same_as(grid, 0.01)


def test_a_folder_of_dicom(tmp_path: Path) -> None:
    files = write_dicom_series(tmp_path / "studies", GRID, sample(GRID), SeriesDescription="FLAIR")
    with stock_server(str(tmp_path / "studies"), tmp_path) as address:
        _check(address, _uid(files[0]), tmp_path)


@pytest.mark.slow
def test_a_folder_of_nifti(tmp_path: Path) -> None:
    write_nifti(tmp_path / "studies" / "case1.nii.gz", GRID, sample(GRID))
    with stock_server(str(tmp_path / "studies"), tmp_path) as address:
        _check(address, "case1", tmp_path)


@pytest.mark.slow
def test_a_dicomweb_address(tmp_path: Path) -> None:
    require_orthanc()
    files = write_dicom_series(tmp_path / "files", GRID, sample(GRID), SeriesDescription="FLAIR")
    with orthanc(tmp_path / "orthanc", files) as pacs, stock_server(pacs, tmp_path) as address:
        _check(address, _uid(files[0]), tmp_path)


def _uid(file: Path) -> str:
    return str(pydicom.dcmread(file, stop_before_pixels=True).SeriesInstanceUID)
