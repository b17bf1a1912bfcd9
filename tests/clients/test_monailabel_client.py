"""The wheel's own client drives a running server, as scripts and other programs do."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image

from tests.dicom.phantoms import GRIDS, sample, write_dicom_series, write_nifti
from tests.serving import live, read_label, tumour_mask

GRID = GRIDS["oblique"]


@pytest.fixture(scope="module")
def library() -> Any:
    """The wheel's client module; it imports cgi, which Python 3.13 no longer has."""
    if sys.version_info >= (3, 13):
        pytest.skip("monailabel's client imports cgi, which Python 3.13 no longer has")
    return importlib.import_module("monailabel.client.client")


@pytest.fixture(scope="module", params=["nifti", "dicom"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A running server of one study, and the image's id."""
    scratch = tmp_path_factory.mktemp(request.param)
    if request.param == "nifti":
        write_nifti(scratch / "studies" / "case1.nii.gz", GRID, sample(GRID))
        image = "case1"
    else:
        files = write_dicom_series(scratch / "studies" / "s", GRID, sample(GRID), SeriesDescription="FLAIR")
        image = str(pydicom.dcmread(files[0], stop_before_pixels=True).SeriesInstanceUID)
    with live(scratch / "studies", scratch) as address:
        yield address, image


@pytest.fixture
def client(library: Any, server: tuple[str, str], tmp_path: Path) -> Any:
    return library.MONAILabelClient(server[0], tmpdir=str(tmp_path), client_id="tester")


def test_describe_and_choose(client: Any, server: tuple[str, str]) -> None:
    assert client.auth_enabled() is False
    assert client.info()["models"]["threshold"]["labels"] == {"tumor": 1}
    assert client.datastore()["objects"].keys() == {server[1]}
    assert client.next_sample("random", {})["id"] == server[1]
    assert client.train_status(check_if_running=True) is False
    assert client.train_start(None, {}) == {}
    assert client.train_stop() == {}


def test_infer_save_and_download(client: Any, server: tuple[str, str]) -> None:
    file, params = client.infer("threshold", server[1], {"result_extension": ".nrrd", "result_dtype": "uint8"})
    voxels, grid = read_label(Path(file))
    np.testing.assert_array_equal(voxels > 0, tumour_mask(grid))
    assert params["label_names"] == {"tumor": 1}
    labels = [{"name": "tumor", "idx": 1}]
    assert client.save_label(server[1], file, "final", {"label_info": labels})["label"] == server[1]
    assert client.datastore()["objects"][server[1]]["labels"]["final"]["info"]["label_info"] == labels
    back = Path(client.download_label(server[1], "final"))
    assert back.read_bytes() == Path(file).read_bytes()
    assert client.info()["datastore"] == {"total": 1, "completed": 1, "label_tags": {"final": 1}, "train": []}


def test_sessions(client: Any, tmp_path: Path) -> None:
    own = write_nifti(tmp_path / "own.nii.gz", GRIDS["sagittal"], sample(GRIDS["sagittal"]))
    session = client.create_session(str(own))["session_id"]
    assert client.get_session(session)["name"] == session
    file, _ = client.infer("threshold", "own", {"result_extension": ".nii.gz"}, session_id=session)
    voxels, grid = read_label(Path(file))
    np.testing.assert_array_equal(voxels > 0, tumour_mask(grid))
    assert client.remove_session(session)["name"] == session


def test_upload_an_image(client: Any, library: Any, server: tuple[str, str], tmp_path: Path) -> None:
    new = write_nifti(tmp_path / "new.nii.gz", GRIDS["coronal"], sample(GRIDS["coronal"]))
    if server[1] != "case1":
        with pytest.raises(library.MONAILabelClientException) as caught:
            client.upload_image(str(new), "sent")
        assert "DICOM" in caught.value.msg
        return
    (tmp_path / "studies").mkdir()
    write_nifti(tmp_path / "studies" / "first.nii.gz", GRID, sample(GRID))
    with live(tmp_path / "studies", tmp_path) as address:
        other = library.MONAILabelClient(address, tmpdir=str(tmp_path), client_id="tester")
        assert other.upload_image(str(new), "sent")["image"] == "sent"
        assert other.datastore()["objects"].keys() == {"first", "sent"}
        file, _ = other.infer("threshold", "sent", {"result_extension": ".nrrd"})
        voxels, grid = read_label(Path(file))
        np.testing.assert_array_equal(voxels > 0, tumour_mask(grid))


def test_segment_a_file_that_is_sent_along(client: Any, tmp_path: Path) -> None:
    own = write_nifti(tmp_path / "own.nii.gz", GRIDS["sagittal"], sample(GRIDS["sagittal"]))
    file, params = client.infer("threshold", "", {"result_extension": ".nrrd"}, file=str(own))
    voxels, grid = read_label(Path(file))
    np.testing.assert_array_equal(voxels > 0, tumour_mask(grid))
    assert params["label_names"] == {"tumor": 1}


def test_a_refusal_reaches_the_caller(client: Any, library: Any, server: tuple[str, str]) -> None:
    with pytest.raises(library.MONAILabelClientException) as caught:
        client.infer("unet9", server[1], {})
    assert "404" in caught.value.msg
    assert "threshold" in caught.value.msg


def test_pictures_and_boxes(library: Any, tmp_path: Path) -> None:
    pixels = np.full((96, 128, 3), 30, np.uint8)
    pixels[10:30, 40:80] = 230
    (tmp_path / "studies").mkdir()
    Image.fromarray(pixels).save(tmp_path / "studies" / "scan.png")
    with live(tmp_path / "studies", tmp_path, models="picture_blobs") as address:
        client = library.MONAILabelClient(address, tmpdir=str(tmp_path))
        model = client.info()["models"]["picture_blobs"]
        assert model["type"] == "detection"
        file, params = client.infer("picture_blobs", "scan", {"result_extension": ".nrrd"})
        voxels, _ = read_label(Path(file))
        np.testing.assert_array_equal(voxels[0] > 0, pixels[..., 0] > 200)
        assert [found["label"] for found in params["detections"]] == ["malignant"]
        file, params = client.infer("picture_blobs", "scan", dict(model["config"]))
        (markup,) = json.loads(Path(file).read_text())["markups"]
        assert markup["center"] == params["detections"][0]["box"]["center"]
        with pytest.raises(library.MONAILabelClientException) as caught:
            client.infer("picture_blobs", "scan", {"score": 2})
        assert "expected score from 0 to 1" in caught.value.msg
