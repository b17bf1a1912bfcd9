"""OHIF in headless Chromium: the mask inside the viewer lies where the tumour is, voxel for voxel."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import numpy as np
import pytest

from tests.clients.ohif_viewer import Viewer, viewer
from tests.dicom.phantoms import (
    CYST,
    GRIDS,
    TUMOUR,
    as_displayed,
    grid_points,
    sample,
    write_dicom_series,
    write_enhanced_mr,
)
from tests.orthanc import orthanc
from tests.serving import EXTRA_MODELS, OHIF_PARAMS, ROOT, live, read_label, seen_from, tumour_mask
from tumorseg.geometry import Grid
from tumorseg.models.slicewise import WEIGHTS
from tumorseg.registry import DEFAULT_MODEL

pytestmark = pytest.mark.timeout(900)

SAMPLE = ROOT / "sample_data"
EXPECTED = SAMPLE / "expected" / "lgg_default.nii.gz"
DETECTOR = "maskrcnn_brain"
DETECTOR_WEIGHTS = WEIGHTS / f"{DETECTOR}.safetensors"
#: A detector that marks less of the sample's tumour is broken; how good it is `tumorseg evaluate` says.
FOUND = 0.3
#: Where the pictures go; `docs` when they are to be renewed.
PICTURES = os.environ.get("TUMORSEG_PICTURES")


def _write(root: Path, name: str, kind: str) -> None:
    """Write single frames in the order of nothing, or Enhanced MR with interleaved, reversed or shuffled frames."""
    grid = GRIDS[name]
    names = {"PatientName": f"{name}^{kind}", "PatientID": f"{name} {kind}", "SeriesDescription": "FLAIR"}
    if kind == "single":
        write_dicom_series(root / name / kind, grid, sample(grid), **names)
        return
    count = grid.shape[0]
    orders = {
        "interleaved": None,
        "reversed": list(range(count))[::-1],
        "shuffled": np.random.default_rng(3).permutation(count).tolist(),
    }
    write_enhanced_mr(root / name / f"{kind}.dcm", grid, sample(grid), orders[kind], **names)


CASES = [
    ("single", "axial"),
    ("single", "oblique sagittal"),
    ("single", "flipped slices"),
    ("interleaved", "axial"),
    ("shuffled", "permuted oblique"),
]
MORE_CASES = [
    *(("single", name) for name in GRIDS if ("single", name) not in CASES),
    *(("interleaved", name) for name in ("oblique sagittal", "flipped slices")),
    ("reversed", "oblique"),
]


@pytest.fixture(scope="module")
def server(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    root = tmp_path_factory.mktemp("phantoms")
    for kind, name in [*CASES, *MORE_CASES]:
        _write(root / "studies", name, kind)
    with live(root / "studies", root, models="threshold,blobs") as address:
        yield address


@pytest.fixture
def window(browser: Any, server: str) -> Iterator[Viewer]:
    with viewer(browser, server) as opened:
        yield opened


@pytest.mark.parametrize(
    ("kind", "name"), [*CASES, *(pytest.param(*case, marks=pytest.mark.slow) for case in MORE_CASES)]
)
def test_the_mask_in_the_viewer_lies_on_the_tumour(window: Viewer, kind: str, name: str) -> None:
    _segment_and_compare(window, kind, name)


@pytest.mark.parametrize(
    ("kind", "name"),
    [("single", "oblique sagittal"), pytest.param("shuffled", "permuted oblique", marks=pytest.mark.slow)],
)
def test_what_a_detection_model_finds_is_a_labelled_mask(window: Viewer, kind: str, name: str) -> None:
    """The panel offers the model, and each class lies where the viewer shows it, under its own segment."""
    window.open_study(f"{name}, {kind}")
    window.connect()
    window.auto_segment("blobs")
    image, labels = window.read()
    assert labels.grid.same_as(image.grid)
    seen = sample(labels.grid)
    # The panel numbers the classes of all models by name: cyst, tumor.
    np.testing.assert_array_equal(labels.voxels, np.where(seen == TUMOUR, 2, np.where(seen == CYST, 1, 0)))
    assert window.errors == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["single", "interleaved"])
def test_the_same_over_a_pacs(browser: Any, tmp_path: Path, kind: str) -> None:
    _write(tmp_path / "files", "oblique", kind)
    with (
        orthanc(tmp_path / "orthanc", sorted((tmp_path / "files").rglob("*.dcm"))) as pacs,
        live(pacs, tmp_path) as address,
        viewer(browser, address) as window,
    ):
        _segment_and_compare(window, kind, "oblique")
        assert window.strangers == set()


def _segment_and_compare(window: Viewer, kind: str, name: str) -> None:
    """Click through to the mask of a phantom and compare both volumes in the viewer with it."""
    window.open_study(f"{name}, {kind}")
    window.connect()
    window.auto_segment("threshold")
    image, labels = window.read()
    # What the viewer shows is the phantom, on the grid that we read the series on ...
    assert image.grid.same_as(as_displayed(GRIDS[name]))
    np.testing.assert_array_equal(image.voxels, sample(image.grid))
    # ... and the labelmap is the tumour at the places where the viewer shows it.
    assert labels.grid.same_as(image.grid)
    np.testing.assert_array_equal(labels.voxels > 0, tumour_mask(labels.grid))
    assert window.errors == []


def test_nothing_is_fetched_from_elsewhere_and_the_panel_knows_its_server(window: Viewer) -> None:
    window.open_study("axial, single")
    assert window.page.locator("#monailabelServerURL").input_value().rstrip("/") == window.server
    window.connect()
    assert window.strangers == set()


def test_the_sample_study_by_the_default_model(browser: Any, tmp_path: Path) -> None:
    if not EXPECTED.is_file():
        pytest.skip(f"{EXPECTED.name} is written by `make sample-expected` once there are weights")
    expected, where = read_label(EXPECTED)
    with (
        live(SAMPLE / "lgg_dicom", tmp_path, models=DEFAULT_MODEL, extra_models=EXTRA_MODELS) as address,
        viewer(browser, address) as window,
    ):
        window.open_study("LGG, Sample")
        window.connect()
        window.auto_segment(DEFAULT_MODEL)
        image, labels = window.read()
        tumour = labels.voxels > 0
        assert labels.grid.same_as(image.grid)
        wanted = seen_from(expected > 0, where, labels.grid)
        assert wanted.any()
        # Another processor may round a voxel or two at the border to the other side of the threshold.
        assert (tumour != wanted).sum() <= 1e-3 * wanted.sum()
        middle = grid_points(labels.grid)[tumour.ravel()].mean(axis=0)
        window.picture(tmp_path / "ohif-auto-segmentation.png", middle)
        assert window.errors == []
    if PICTURES:
        shutil.copy(tmp_path / "ohif-auto-segmentation.png", PICTURES)


@pytest.mark.slow
def test_the_sample_study_by_the_detection_model(browser: Any, tmp_path: Path) -> None:
    """What the model finds covers the tumour in the viewer, and is what its answer's own header says."""
    if not DETECTOR_WEIGHTS.is_file():
        pytest.skip(f"{DETECTOR_WEIGHTS.name} does not ship")
    with (
        live(SAMPLE / "lgg_dicom", tmp_path, models=f"{DEFAULT_MODEL},{DETECTOR}") as address,
        viewer(browser, address) as window,
    ):
        window.open_study("LGG, Sample")
        window.connect()
        window.auto_segment(DETECTOR)
        image, labels = window.read()
        voxels, where = _by_its_header(address, DETECTOR, window.series_uid, tmp_path)
        np.testing.assert_array_equal(labels.voxels > 0, seen_from(voxels > 0, where, labels.grid))
        truth, place = read_label(SAMPLE / "expected" / "lgg_truth.nii.gz")
        tumour = seen_from(truth, place, image.grid) > 0
        assert ((labels.voxels > 0) & tumour).sum() > FOUND * tumour.sum()
        middle = grid_points(labels.grid)[labels.voxels.ravel() > 0].mean(axis=0)
        window.picture(tmp_path / "ohif-detection.png", middle)
        assert window.errors == []
    if PICTURES:
        shutil.copy(tmp_path / "ohif-detection.png", PICTURES)


def _by_its_header(address: str, model: str, series_uid: str, scratch: Path) -> tuple[Any, Grid]:
    """Ask for the same segmentation, and place it by the NRRD header that OHIF ignores."""
    query = urlencode({"image": series_uid, "output": "image"})
    form = urlencode({"params": json.dumps(OHIF_PARAMS)}).encode()
    with urlopen(f"{address}/infer/{model}?{query}", data=form, timeout=300) as answer:
        (scratch / "answer.nrrd").write_bytes(answer.read())
    return read_label(scratch / "answer.nrrd")
