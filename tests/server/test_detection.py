"""Detections served: boxes and masks on the lesions for every grid, thresholds of a request, pictures, refusals.

What is expected is worked out from lesions defined in millimetres and the affine of the files, not by our measures.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from tests.dicom.phantoms import (
    CYST,
    GRIDS,
    TUMOUR,
    make_grid,
    sample,
    write_dicom_series,
    write_nifti,
    write_nrrd,
)
from tests.lesions import ELLIPSOIDS_MM, VALUES, edges, lesion_image, same_corners
from tests.serving import ask_ohif, ask_slicer, config_for, in_process, raw_voxels, read_label
from tumorseg.geometry import Grid

#: i, j and k along every axis and backwards, and all of that turned.
STRAIGHT = [
    np.eye(3)[:, list(order)] * signs
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]
TURN = GRIDS["oblique"].direction
ORIENTATIONS = [*STRAIGHT, *(TURN @ direction for direction in STRAIGHT)]


def _ask(client: TestClient, model: str = "blobs", output: str = "json", image: str = "case1", **params: Any) -> Any:
    said = {"params": json.dumps(params)}
    return client.post(f"/infer/{model}", params={"image": image, "output": output}, data=said)


def _corners(box: dict[str, Any]) -> np.ndarray:
    """The corners of a box as a viewer makes them of centre, size and orientation."""
    axes = np.array(box["orientation"]).reshape(3, 3)
    signs = np.array(list(itertools.product((-0.5, 0.5), repeat=3)))
    return np.array(box["center"]) + (signs * box["size"]) @ axes.T


@pytest.fixture(scope="module")
def everywhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A server of the two lesions seen on 48 straight and 48 oblique grids, none of them a cube."""
    root = tmp_path_factory.mktemp("everywhere")
    for number, direction in enumerate(ORIENTATIONS):
        write_nrrd(root / "studies" / f"g{number}.nrrd", _grid(direction), lesion_image(_grid(direction)))
    with in_process(config_for(root / "studies", root, models="blobs")) as client:
        yield client


def _grid(direction: np.ndarray) -> Grid:
    return make_grid(direction, (3.5, 4.0, 5.0), (34, 40, 44))


@pytest.mark.parametrize("number", range(len(ORIENTATIONS)))
def test_boxes_and_masks_lie_on_the_lesions(everywhere: TestClient, number: int) -> None:
    grid = _grid(ORIENTATIONS[number])
    seen = lesion_image(grid)
    answer = _ask(everywhere, image=f"g{number}", link=0.0).json()
    markups = json.loads(_ask(everywhere, image=f"g{number}", link=0.0, output="image", result_extension=".json").text)
    assert sorted(found["label"] for found in answer["detections"]) == ["cyst", "tumor"]
    for found, roi in zip(answer["detections"], markups["markups"], strict=True):
        value = VALUES[found["label"]]
        mask, corners = seen == value, edges(seen == value, grid)
        assert found["voxels"] == mask.sum() > 50
        assert found["volume_ml"] == pytest.approx(mask.sum() * 3.5 * 4 * 5 / 1000, rel=1e-4)
        assert found["slices"] == np.flatnonzero(mask.any(axis=(1, 2))).tolist()
        assert found["score"] == pytest.approx(value / 1000)
        assert same_corners(_corners(found["box"]), corners)
        assert same_corners(_corners(roi), corners)
        assert roi["name"] == f"{found['label']} {value / 1000:.2f}"
        # The longest axis of the ellipsoid, up to one step of the grid.
        assert found["longest_diameter_mm"] == pytest.approx(2 * max(ELLIPSOIDS_MM[found["label"]][1]), abs=6)
    flat = raw_voxels(ask_ohif(everywhere, f"g{number}", "blobs"))
    expected = np.where(seen == TUMOUR, 2, np.where(seen == CYST, 1, 0))
    np.testing.assert_array_equal(flat.reshape(grid.shape), expected)


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    write_nifti(tmp_path / "studies" / "case1.nii.gz", GRIDS["oblique"], sample(GRIDS["oblique"]))
    with in_process(config_for(tmp_path / "studies", tmp_path, models="blobs,threshold")) as found:
        yield found


def test_the_viewers_are_told_what_the_model_is(client: TestClient) -> None:
    models = client.get("/info/").json()["models"]
    assert models["blobs"]["type"] == "detection"
    assert models["blobs"]["labels"] == {"cyst": 1, "tumor": 2}
    config = {
        "boxes": True,
        "decided": False,
        "score": 0.5,
        "nms": 0.5,
        "link": 0.05,
        "min_slices": 1,
        "max_instances": 20,
    }
    assert models["blobs"]["config"] == config
    assert (models["threshold"]["type"], models["threshold"]["config"]) == ("segmentation", {})


def test_slicer_gets_boxes_with_its_config_and_a_mask_without(client: TestClient, tmp_path: Path) -> None:
    config = client.get("/info/").json()["models"]["blobs"]["config"]
    params, name, data = ask_slicer(client, "case1", "blobs", **config)
    assert name == "case1.json"
    assert len(json.loads(data)["markups"]) == len(params["detections"]) > 1
    params, name, data = ask_slicer(client, "case1", "blobs", **config | {"boxes": False})
    assert name == "case1.nrrd"
    (tmp_path / name).write_bytes(data)
    voxels, _ = read_label(tmp_path / name)
    assert set(np.unique(voxels)) == {0, 1, 2}
    assert params["label_names"] == {"cyst": 1, "tumor": 2}
    # Nothing found: 3D Slicer takes markups without a box for a damaged file, so that it gets the empty mask.
    params, name, _ = ask_slicer(client, "case1", "blobs", **config | {"score": 1.0})
    assert (name, params["detections"]) == ("case1.nrrd", [])
    _, name, data = ask_slicer(client, "case1", "blobs", result_extension=".mrk.json", score=1.0)
    assert (name, json.loads(data)["markups"]) == ("case1.mrk.json", [])


def test_ohif_gets_a_mask_whatever_its_settings_say(client: TestClient) -> None:
    answer = _ask(client, output="image", result_extension=".nrrd", result_compress=False, boxes=True)
    assert {0, 1, 2} == set(np.unique(raw_voxels(answer.content)))


def test_thresholds_are_parameters_of_the_request(client: TestClient) -> None:
    def labels(**params: Any) -> list[str]:
        return [found["label"] for found in _ask(client, **params).json()["detections"]]

    everything = labels()
    assert {"tumor", "cyst"} == set(everything)
    assert "cyst" not in labels(score=0.7)
    assert labels(score=0.95) == []
    assert labels(score="0.7") == labels(score=0.7)  # a viewer's table of settings sends text
    assert labels(score="", nms=None) == everything
    assert len(labels(max_instances=1)) < len(everything)
    assert sorted(labels(min_slices=5)) == ["cyst", "tumor"]
    assert len(labels(link=1)) > len(everything)
    assert _ask(client, score=0.7).json()["detection_options"]["score"] == 0.7
    scores = [found["score"] for found in _ask(client).json()["detections"]]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize(
    "params",
    [
        {"score": 1.5},
        {"score": -0.1},
        {"score": "high"},
        {"score": "nan"},
        {"score": True},
        {"score": [0.5]},
        {"nms": 2},
        {"link": "-1"},
        {"min_slices": 0},
        {"min_slices": 1.5},
        {"max_instances": "1e9"},
    ],
)
def test_what_is_out_of_range_is_refused_by_name(client: TestClient, params: dict[str, Any]) -> None:
    answer = _ask(client, **params)
    assert answer.status_code == 422
    assert next(iter(params)) in answer.json()["detail"]
    assert "expected" in answer.json()["detail"]


def test_a_model_that_segments_has_no_boxes(client: TestClient) -> None:
    refused = _ask(client, "threshold", result_extension=".json")
    assert refused.status_code == 422
    assert "finds no boxes" in refused.json()["detail"]
    ignored = _ask(client, "threshold", boxes=True, score=7, unheard_of=1)
    assert ignored.status_code == 200
    assert "detections" not in ignored.json()


def test_an_unknown_setting_is_ignored_as_everywhere(client: TestClient) -> None:
    assert _ask(client, unheard_of=1, client_id="x").json()["detections"] == _ask(client).json()["detections"]


def test_a_series_other_than_the_models_shows_the_same_lesions(tmp_path: Path) -> None:
    """The model sees the axial FLAIR; the sagittal T1 is displayed, and its grid is the answer's."""
    shared = {"StudyInstanceUID": "1.2.3", "FrameOfReferenceUID": "1.2.4"}
    seen, shown = GRIDS["axial"], GRIDS["sagittal"]
    flair = np.where(sample(seen) == TUMOUR, TUMOUR, np.minimum(sample(seen), 100)).astype(np.int16)
    write_dicom_series(
        tmp_path / "studies" / "a", seen, flair, SeriesDescription="FLAIR", SeriesInstanceUID="1.2.5", **shared
    )
    t1 = np.minimum(sample(shown), 100).astype(np.int16)
    write_dicom_series(
        tmp_path / "studies" / "b", shown, t1, SeriesDescription="T1", SeriesInstanceUID="1.2.6", **shared
    )
    with in_process(config_for(tmp_path / "studies", tmp_path, models="blobs")) as client:
        (own,) = _ask(client, image="1.2.5").json()["detections"]
        (found,) = _ask(client, image="1.2.6").json()["detections"]
    mine, theirs = _corners(own["box"]), _corners(found["box"])
    assert np.abs(mine.min(axis=0) - theirs.min(axis=0)).max() < 1e-3
    assert np.abs(mine.max(axis=0) - theirs.max(axis=0)).max() < 1e-3
    assert found["box_voxel"] != own["box_voxel"]


@pytest.mark.parametrize(("ending", "mode"), [(".png", "L"), (".png", "RGB"), (".jpg", "RGB")])
def test_pictures_are_served_to_a_model_of_pictures(tmp_path: Path, ending: str, mode: str) -> None:
    pixels = np.full((96, 128), 30, np.uint8)
    pixels[10:30, 40:80] = 230
    pixels[60:80, 20:40] = 150
    (tmp_path / "studies").mkdir()
    Image.fromarray(pixels).convert(mode).save(tmp_path / "studies" / f"scan{ending}", quality=95)
    with in_process(config_for(tmp_path / "studies", tmp_path, models="picture_blobs")) as client:
        assert client.get("/info/").json()["models"]["picture_blobs"]["dimension"] == 2
        answer = _ask(client, "picture_blobs", image="scan", min_slices=3).json()
        flat = raw_voxels(ask_ohif(client, "scan", "picture_blobs")).reshape(96, 128)
        sent = (tmp_path / "studies" / f"scan{ending}").read_bytes()
        assert client.get("/datastore/image", params={"image": "scan"}).content == sent
    malignant, benign = answer["detections"]
    assert [malignant["label"], benign["label"]] == ["malignant", "benign"]
    assert malignant["volume_ml"] is malignant["longest_diameter_mm"] is None
    assert malignant["slices"] == [0]
    assert malignant["box_voxel"] == pytest.approx([40, 10, 0, 80, 30, 1], abs=2 * (ending == ".jpg"))
    assert malignant["box"]["size"] == pytest.approx([40, 20, 1], abs=2 * (ending == ".jpg"))
    assert flat[20, 60] == 2
    assert flat[70, 30] == 1
    assert (flat > 0).sum() == pytest.approx(800 + 400, rel=0.1 if ending == ".jpg" else 0)
