"""Our server over a DICOMweb address: the same answers as from a folder, the labels with the user's own data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

from tests.dicom.phantoms import GRIDS, sample, write_dicom_series
from tests.orthanc import orthanc
from tests.serving import ask_ohif, ask_slicer, config_for, in_process, raw_voxels, read_label, tumour_mask

GRID = GRIDS["oblique"]


def test_segment_and_save_on_a_pacs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    files = write_dicom_series(tmp_path / "files", GRID, sample(GRID), SeriesDescription="FLAIR")
    uid = str(pydicom.dcmread(files[0], stop_before_pixels=True).SeriesInstanceUID)
    with orthanc(tmp_path / "orthanc", files) as address:
        config = config_for(address, tmp_path)
        with in_process(config) as client:
            assert client.get("/info/").json()["datastore"]["total"] == 1
            assert client.post("/activelearning/first", json={}).json()["SeriesInstanceUID"] == uid
            _, name, data = ask_slicer(client, uid)
            (tmp_path / name).write_bytes(data)
            voxels, grid = read_label(tmp_path / name)
            np.testing.assert_array_equal(voxels > 0, tumour_mask(grid))
            np.testing.assert_array_equal(raw_voxels(ask_ohif(client, uid)), voxels.ravel())
            saved = client.put("/datastore/label", params={"image": uid}, files={"label": (name, data)})
            assert saved.json()["label"] == uid
            assert client.get("/proxy/dicom/qido/studies").json()[0]["00100020"]["Value"] == ["PHANTOM"]
    labels = list((tmp_path / "data" / "tumorseg" / "labels").glob("*/final/*.nrrd"))  # beside their versions
    assert [path.name for path in labels] == [f"{uid}.nrrd"]
