"""A detector from a folder of annotated pictures, on pictures made here: bright ellipses on noise."""

import json

import numpy as np
import pytest
from PIL import Image

from tumorseg.errors import InputError, NotFoundError
from tumorseg.models.detector import DetectorModel, DetectorSpec
from tumorseg.training.detection.run import DetectionRun, train_detector

SPEC = DetectorSpec(name="blobs", description="Bright blobs.", labels=(("tumour", 1),), side=96, mirror=False)


def ellipse(rng, side=96):
    """A picture ``(side, side)`` uint8 and the polygon of its one bright ellipse."""
    radius = rng.uniform(8, 18, 2)
    centre = rng.uniform(24, side - 24, 2)
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    rows, columns = np.mgrid[:side, :side] + 0.5
    inside = ((columns - centre[0]) / radius[0]) ** 2 + ((rows - centre[1]) / radius[1]) ** 2 <= 1
    pixels = rng.normal(60, 15, (side, side)) + inside * 110
    x, y = centre[0] + radius[0] * np.cos(angle), centre[1] + radius[1] * np.sin(angle)
    return pixels.clip(0, 255).astype(np.uint8), x, y


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("via")
    rng, table = np.random.default_rng(0), {}
    for index in range(24):
        pixels, x, y = ellipse(rng)
        Image.fromarray(pixels).save(root / f"{index}.png")
        shape = {"name": "polygon", "all_points_x": x.round(1).tolist(), "all_points_y": y.round(1).tolist()}
        table[f"{index}.png1"] = {
            "filename": f"{index}.png",
            "size": 1,
            "regions": [{"shape_attributes": shape, "region_attributes": {"label": "tumour"}}],
            "file_attributes": {},
        }
    (root / "annotations.json").write_text(json.dumps(table))
    return root


def test_a_run_leaves_weights_that_load_and_says_what_it_did(folder, tmp_path):
    options = DetectionRun(steps=2, batch=2, start="none", threads=1)
    rows = []
    weights = train_detector(SPEC, folder, tmp_path / "run", options, rows.append)
    assert rows[-1]["step"] == 2
    assert np.isfinite(rows[-1]["mask"])
    assert DetectorModel(SPEC, weights, "cpu").network is not None
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (config["backbone"], config["started_from"], config["steps"]) == ("lite0", "random values", 2)
    split = json.loads((tmp_path / "run" / "split.json").read_text())
    assert sorted(map(len, split.values())) == [4, 4, 16]


def test_a_stopped_run_goes_on(folder, tmp_path):
    train_detector(SPEC, folder, tmp_path, DetectionRun(steps=1, batch=1, start="none"))
    train_detector(SPEC, folder, tmp_path, DetectionRun(steps=3, batch=1, start="none"))
    steps = [json.loads(line)["step"] for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert steps == [1, 3]


def test_another_training_is_a_start(folder, tmp_path):
    first = train_detector(SPEC, folder, tmp_path / "a", DetectionRun(steps=1, batch=1, start="none"))
    two = DetectorSpec("two", "Two classes.", (("tumour", 1), ("cyst", 2)), side=96)
    train_detector(two, folder, tmp_path / "b", DetectionRun(steps=1, batch=1, start=str(first)))
    told = json.loads((tmp_path / "b" / "config.json").read_text())["started_from"]
    assert "tensors from blobs.safetensors, 6 start from random values" in told


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"start": "nowhere.pth"}, NotFoundError, "no file nowhere.pth to start from"),
        ({"start": "coco"}, InputError, "COCO weights exist for resnet50, not for lite0"),
        ({"backbone": "vgg", "start": "none"}, InputError, "expected one of the backbones"),
        ({"steps": 0}, InputError, "expected a positive steps"),
        ({"split": "busi"}, InputError, "no training picture of split"),
    ],
)
def test_what_cannot_be_trained_is_said_before_anything_is_written(folder, tmp_path, change, error, message):
    with pytest.raises(error, match=message):
        train_detector(SPEC, folder, tmp_path / "run", DetectionRun(**({"steps": 1} | change)))
    assert not list((tmp_path / "run").glob("*.safetensors"))


@pytest.mark.slow
def test_it_learns_what_an_ellipse_is(folder, tmp_path):
    """From random weights; the pictures it is asked about are new."""
    options = DetectionRun(steps=300, batch=4, start="none", split="all", learning_rate=1e-3)
    model = DetectorModel(SPEC, train_detector(SPEC, folder, tmp_path, options), "cpu")
    rng, found = np.random.default_rng(1), 0
    from tumorseg.io.pictures import read_picture

    for index in range(10):
        pixels, x, y = ellipse(rng)
        Image.fromarray(pixels).save(tmp_path / f"{index}.png")
        best = model.predict(read_picture(tmp_path / f"{index}.png")).detections.instances[:1]
        truth = np.array([x.min(), y.min(), x.max(), y.max()])
        found += any(np.abs(i.box[[0, 1, 3, 4]] - truth).max() < 5 for i in best)
    assert found >= 8
