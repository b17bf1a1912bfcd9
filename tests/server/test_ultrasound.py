"""Ultrasound stills of a DICOM folder through the server: found on exactly the pixels that are displayed."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image
from starlette.testclient import TestClient

from tests.dicom.ultrasound import grey, region, rgb, write_still
from tests.serving import ask_ohif, config_for, in_process, raw_voxels
from tumorseg.models.maskrcnn_breast import SPEC

STILL, COLOUR, SEVERAL = "1.2.3.4", "1.2.3.5", "1.2.3.6"
#: Marks of the picture: rows and columns of the two bright blobs, half-open (see tests/dicom/ultrasound.py).
BENIGN, MALIGNANT = (10, 22, 40, 60), (35, 45, 30, 38)
MM = (0.2, 0.25)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    root = tmp_path_factory.mktemp("ultrasound")

    def write(name: str, uid: str, pixels: np.ndarray[Any, Any], **more: Any) -> None:
        uids = {"StudyInstanceUID": f"{uid}.0", "SeriesInstanceUID": uid}
        write_still(root / "studies" / name, pixels, regions=[region(MM)], **uids, **more)

    write("grey.dcm", STILL, grey())
    write("colour.dcm", COLOUR, rgb())
    for number in range(2):
        write(f"several{number}.dcm", SEVERAL, grey())
    with in_process(config_for(root / "studies", root, models="picture_blobs,threshold")) as found:
        yield found


def _ask(client: TestClient, image: str, model: str = "picture_blobs", output: str = "json") -> Any:
    said = {"params": json.dumps({"score": 0.4})}
    return client.post(f"/infer/{model}", params={"image": image, "output": output}, data=said)


@pytest.mark.parametrize("uid", [STILL, COLOUR])
def test_boxes_and_mask_lie_on_the_displayed_pixels(client: TestClient, uid: str) -> None:
    answer = _ask(client, uid).json()
    found = {(one["label"], *one["box_voxel"]): one for one in answer["detections"]}
    for label, (j0, j1, i0, i1) in (("benign", BENIGN), ("malignant", MALIGNANT)):
        one = found[label, i0, j0, 0, i1, j1, 1]
        width, height = (i1 - i0) * MM[0], (j1 - j0) * MM[1]
        assert one["box"]["size"] == pytest.approx([width, height, 1])
        assert one["box"]["center"] == pytest.approx([(i0 + i1 - 1) / 2 * MM[0], (j0 + j1 - 1) / 2 * MM[1], 0])
        assert 0.8 * np.hypot(width, height) < one["longest_diameter_mm"] <= np.hypot(width, height)
        assert one["volume_ml"] is None, "a picture has no thickness"
    mask = raw_voxels(ask_ohif(client, uid, "picture_blobs")).reshape(60, 88)
    assert (mask[slice(*MALIGNANT[:2]), slice(*MALIGNANT[2:])] == 2).all()


def test_the_image_that_slicer_downloads_is_the_picture(client: TestClient, tmp_path: Path) -> None:
    for uid, pixels in ((STILL, grey()), (COLOUR, rgb())):
        path = tmp_path / f"{uid}.nrrd"
        path.write_bytes(client.get("/datastore/image", params={"image": uid}).content)
        volume = sitk.ReadImage(str(path))
        assert np.array_equal(sitk.GetArrayFromImage(volume)[0], pixels)
        assert volume.GetSpacing()[:2] == pytest.approx(MM)


def test_a_rendered_frame_is_what_the_model_saw(client: TestClient) -> None:
    """What a browser is shown by our own DICOMweb, where the colours are not touched by a window."""
    (instance,) = client.get(f"/proxy/dicom/wado/studies/{COLOUR}.0/series/{COLOUR}/metadata").json()
    sop = instance["00080018"]["Value"][0]
    path = f"/proxy/dicom/wado/studies/{COLOUR}.0/series/{COLOUR}/instances/{sop}/frames/1/rendered"
    shown = client.get(path, headers={"Accept": "image/png"})
    assert shown.status_code == 200, shown.text
    assert np.array_equal(np.array(Image.open(io.BytesIO(shown.content))), rgb())


def test_several_stills_and_models_of_mr_are_refused_by_name(client: TestClient) -> None:
    several = _ask(client, SEVERAL)
    assert several.status_code == 422
    assert "2 ultrasound stills" in several.json()["detail"]
    mr = _ask(client, STILL, "threshold")
    assert mr.status_code == 422
    assert "expected modality MR" in mr.json()["detail"]
    assert "got US" in mr.json()["detail"]


@pytest.mark.skipif(not SPEC.weights.is_file(), reason="the weights of maskrcnn_breast are not there")
def test_the_breast_model_answers_on_the_still(tmp_path: Path) -> None:
    write_still(tmp_path / "studies" / "a.dcm", rgb(), StudyInstanceUID="1.2", SeriesInstanceUID=STILL)
    with in_process(config_for(tmp_path / "studies", tmp_path, models="maskrcnn_breast")) as client:
        assert client.get("/info/").json()["models"]["maskrcnn_breast"]["channels"] == [""]
        answer = _ask(client, STILL, "maskrcnn_breast")
        assert answer.status_code == 200, answer.text
        assert raw_voxels(ask_ohif(client, STILL, "maskrcnn_breast")).size == 60 * 88
    assert {one["label"] for one in answer.json()["detections"]} <= {"benign", "malignant"}
