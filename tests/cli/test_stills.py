"""``tumorseg predict`` on ultrasound stills: the weights of the breast model are random, the way is real."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from tests.dicom.phantoms import GRIDS, sample, write_dicom_series
from tests.dicom.ultrasound import grey, region, rgb, write_still
from tests.support import extra_model
from tests.test_cli import ok, refused

BREAST = ("--model", "maskrcnn_breast", "--device", "cpu")


@pytest.fixture
def unread(tmp_path: Path) -> Path:
    """Weights that nobody comes to read: what is refused is refused before."""
    path = tmp_path / "unread.safetensors"
    path.write_bytes(b"none")
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    from safetensors.torch import save_file

    from tumorseg.networks.maskrcnn import build_maskrcnn

    torch.manual_seed(6)
    path = tmp_path_factory.mktemp("weights") / "breast.safetensors"
    save_file(build_maskrcnn("lite0", 2, side=256).state_dict(), path, metadata={"backbone": "lite0"})
    return path


def test_the_mask_lies_on_the_pixels_of_the_still(weights: Path, tmp_path: Path) -> None:
    still = write_still(tmp_path / "still.dcm", grey(), regions=[region((0.2, 0.25))])
    out, boxes = tmp_path / "mask.nii.gz", tmp_path / "boxes.json"
    few = ("--weights", weights, "--score", 0, "--max-instances", 3)
    told = ok("predict", still, *BREAST, *few, "-o", out, "--boxes", boxes).stdout
    assert "a picture has no volume" in told
    assert "longest diameter" in told
    assert "mL" not in told
    mask = nibabel.load(out)
    assert mask.shape == (88, 60, 1)
    assert mask.header.get_zooms()[:2] == pytest.approx((0.2, 0.25))
    found = json.loads(boxes.read_text())["detections"]
    assert found
    assert np.isin(np.unique(mask.get_fdata()), (0, 1, 2)).all()

    Image.fromarray(grey()).save(tmp_path / "screen.png")
    ok("predict", tmp_path / "screen.png", *BREAST, *few, "--boxes", boxes)
    same = json.loads(boxes.read_text())["detections"]
    assert [one["box_voxel"] for one in same] == [one["box_voxel"] for one in found], "a PNG of the screen is the same"


def test_a_sheet_to_look_at_does_not_speak_of_the_patients_left(tmp_path: Path) -> None:
    from tumorseg.io import read_study
    from tumorseg.io.overlay import _view

    still = write_still(tmp_path / "still.dcm", rgb(), regions=[region()])
    with extra_model("picture_blobs", "tests.support:build_picture_blobs"):
        ok("predict", still, "--model", "picture_blobs", "-o", tmp_path / "sheet.png")
    assert Image.open(tmp_path / "sheet.png").size[0] > 88
    view = _view(read_study(still))
    assert view.letters == ("", "", "", "")
    assert view.spacing == pytest.approx((0.2, 0.2))


def test_each_model_refuses_what_it_does_not_look_at(unread: Path, tmp_path: Path) -> None:
    still = write_still(tmp_path / "still.dcm", grey())
    with extra_model("threshold"):
        said = refused("predict", still, "--model", "threshold", "-o", tmp_path / "mask.nii.gz")
    assert "expected modality MR (FLAIR), got US" in said
    grid = GRIDS["anisotropic"]
    write_dicom_series(tmp_path / "mr", grid, sample(grid), SeriesDescription="FLAIR")
    said = refused("predict", tmp_path / "mr", *BREAST, "--weights", unread, "-o", tmp_path / "mask.nii.gz")
    assert "maskrcnn_breast expects US, got modality MR" in said
    assert not (tmp_path / "mask.nii.gz").exists()


def test_several_stills_are_refused_in_one_line(unread: Path, tmp_path: Path) -> None:
    for number in range(2):
        uids = {"StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.2.3"}
        write_still(tmp_path / "us" / f"{number}.dcm", grey(), **uids)
    said = refused("predict", tmp_path / "us", *BREAST, "--weights", unread, "-o", tmp_path / "mask.nii.gz")
    assert "2 ultrasound stills" in said
    assert "give its file" in said
