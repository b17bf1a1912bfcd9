"""``tumorseg predict`` with a model that finds single objects: boxes as files, thresholds, refusals."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.dicom.phantoms import GRIDS, TUMOUR, sample, write_nifti
from tests.support import extra_model
from tests.test_cli import ok, refused

GRID = GRIDS["oblique"]


@pytest.fixture(autouse=True)
def blobs(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("TUMORSEG_DEBUG", raising=False)
    with extra_model("blobs", "tests.support:build_blobs"):
        yield


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return write_nifti(tmp_path / "image.nii.gz", GRID, sample(GRID))


def test_boxes_go_where_the_ending_says(image: Path, tmp_path: Path) -> None:
    told = ok("predict", image, "--boxes", tmp_path / "b.json", "--min-slices", 2).stdout
    document = json.loads((tmp_path / "b.json").read_text())
    assert document["model"] == "blobs"
    assert document["input"] == [str(image)]
    labels = [found["label"] for found in document["detections"]]
    assert labels == ["tumor", "cyst"]
    assert [line.split(",")[0].strip() for line in told.splitlines()[1:3]] == labels
    assert f"{document['detections'][0]['longest_diameter_mm']:.1f} mm" in told
    assert "b.json written" in told

    ok("predict", image, "--boxes", tmp_path / "b.mrk.json", "--min-slices", 2)
    markups = json.loads((tmp_path / "b.mrk.json").read_text())["markups"]
    np.testing.assert_allclose(markups[0]["center"], document["detections"][0]["box"]["center"], atol=1e-5)

    ok("predict", image, "--boxes", tmp_path / "b.csv", "--min-slices", 2)
    with (tmp_path / "b.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row, found in zip(rows, document["detections"], strict=True):
        assert row["label"] == found["label"]
        assert [float(row[edge]) for edge in ("i0", "j0", "k0", "i1", "j1", "k1")] == found["box_voxel"]
        assert [float(row[axis]) for axis in ("x_mm", "y_mm", "z_mm")] == found["box"]["center"]
        assert float(row["volume_ml"]) == found["volume_ml"]
        assert int(row["slices"]) == len(found["slices"])


def test_mask_and_boxes_at_once_and_for_machines(image: Path, tmp_path: Path) -> None:
    words = ("predict", image, "--out", tmp_path / "m.nrrd", "--boxes", tmp_path / "b.json", "--score", 0.7, "--json")
    told = json.loads(ok(*words).stdout)
    assert told["files"] == [str(tmp_path / "m.nrrd"), str(tmp_path / "b.json")]
    assert {found["label"] for found in told["detections"]} == {"tumor"}
    assert told["detections"] == json.loads((tmp_path / "b.json").read_text())["detections"]
    assert told["voxels"] == (sample(GRID) == TUMOUR).sum() == sum(found["voxels"] for found in told["detections"])


def test_a_picture_has_pixels(tmp_path: Path) -> None:
    pixels = np.zeros((40, 50, 3), np.uint8)
    pixels[10:14, 20:25] = 255
    Image.fromarray(pixels).save(tmp_path / "p.png")
    with extra_model("picture_blobs", "tests.support:build_picture_blobs"):
        told = ok("predict", tmp_path / "p.png", "--boxes", tmp_path / "b.csv").stdout
    assert "malignant, score 1.00: 20 pixels, slice 1" in told
    (row,) = csv.DictReader((tmp_path / "b.csv").read_text().splitlines())
    assert (row["voxels"], row["volume_ml"], row["longest_diameter_mm"]) == ("20", "", "")


def test_nothing_found_is_no_error(image: Path, tmp_path: Path) -> None:
    assert "no tumour found" in ok("predict", image, "--boxes", tmp_path / "b.json", "--score", 1).stdout
    assert json.loads((tmp_path / "b.json").read_text())["detections"] == []


def test_what_is_refused_and_nothing_is_written(image: Path, tmp_path: Path) -> None:
    boxes = tmp_path / "b.json"
    assert "--boxes FILE" in refused("predict", image)
    assert ".mrk.json" in refused("predict", image, "--boxes", tmp_path / "b.xml")
    assert "does not exist" in refused("predict", image, "--boxes", tmp_path / "no" / "b.json")
    assert "expected score from 0 to 1" in refused("predict", image, "--boxes", boxes, "--score", 1.5)
    assert "expected min_slices" in refused("predict", image, "--boxes", boxes, "--min-slices", 0)
    assert ".nii.gz" in refused("predict", image, "--boxes", boxes, "--out", tmp_path / "m.xyz")
    with extra_model("bright", "tests.support:build_bright"):
        assert "segments only" in refused("predict", image, "--boxes", boxes)
        words = ("predict", image, "--out", tmp_path / "m.nrrd", "--score", 0.5, "--min-slices", 2)
        assert "--score, --min-slices: for models" in refused(*words)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["image.nii.gz"]
