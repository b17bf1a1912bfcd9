"""The unmodified Slicer module on Slicer's core: fetch, segment, import, save; the segment lies on the tumour."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.dicom.phantoms import (
    GRIDS,
    TUMOUR,
    as_displayed,
    phantom_points,
    sample,
    write_dicom_series,
    write_nifti,
)
from tests.lesions import VALUES, edges, lesion_image, same_corners
from tests.serving import live, read_label, tumour_mask

SCRIPT = Path(__file__).with_name("slicer_panel.py")


def module_folder() -> Path:
    """Find the Slicer module that came with the wheel, or skip."""
    if importlib.util.find_spec("slicer") is None:
        pytest.skip("slicer-core is not installed (PyPI has it for Python up to 3.12)")
    if sys.version_info >= (3, 13):
        pytest.skip("the module's client imports cgi, which Python 3.13 no longer has")
    places = [Path(sys.prefix), *Path(sys.prefix).glob("lib/python*/site-packages/monailabel-*.data/data")]
    for place in places:
        folder = place / "monailabel" / "plugins" / "slicer" / "MONAILabel"
        if (folder / "MONAILabel.py").is_file():
            return folder
    pytest.skip("this installation of monailabel came without its Slicer module")


def run_module(server: str, scratch: Path, model: str = "threshold", *signed: str) -> dict[str, Any]:
    """Let the module work, signing in by a name and a password where they are given, and return what it saw."""
    scratch.mkdir()
    command = [sys.executable, str(SCRIPT), str(module_folder()), server, model, str(scratch), *signed]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    said: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    assert not said["errors"], said["errors"][0]
    return said


@pytest.mark.parametrize("kind", ["nifti", "dicom"])
@pytest.mark.parametrize("name", ["oblique sagittal", "flipped slices", "anisotropic"])
def test_the_segment_lies_on_the_tumour(name: str, kind: str, tmp_path: Path) -> None:
    module_folder()
    grid, studies = GRIDS[name], tmp_path / "studies"
    if kind == "nifti":
        write_nifti(studies / "case1.nii.gz", grid, sample(grid))
    else:
        write_dicom_series(studies / "series", grid, sample(grid), SeriesDescription="FLAIR")
        grid = as_displayed(grid)
    with live(studies, tmp_path) as server:
        said = run_module(server, tmp_path / "slicer")
    points = np.array(said["points_ras"]["tumor"])
    assert len(points) == int(tumour_mask(grid).sum())
    assert set(phantom_points(points * [-1, -1, 1])) == {TUMOUR}
    assert said["completed"] == 1
    assert said["models"] == {"threshold": "segmentation"}
    label = next((studies / "labels" / "final").glob("*.nii.gz"))
    assert label.name == f"{said['sample']}.nii.gz"
    voxels, saved = read_label(label)
    np.testing.assert_array_equal(voxels > 0, tumour_mask(saved))


@pytest.mark.parametrize(("name", "kind"), [("permuted oblique", "nifti"), ("oblique sagittal", "dicom")])
def test_the_boxes_lie_around_the_lesions(name: str, kind: str, tmp_path: Path) -> None:
    """Slicer's module offers the model, and its boxes are ROI nodes at the lesions, with class and score."""
    module_folder()
    grid, studies = GRIDS[name], tmp_path / "studies"
    if kind == "nifti":
        write_nifti(studies / "case1.nii.gz", grid, lesion_image(grid))
    else:
        write_dicom_series(studies / "series", grid, lesion_image(grid), SeriesDescription="FLAIR")
        grid = as_displayed(grid)
    with live(studies, tmp_path, models="blobs") as server:
        said = run_module(server, tmp_path / "slicer", "blobs")
    assert said["models"] == {"blobs": "detection"}
    assert len(said["rois"]) == len(VALUES)
    for roi, (label, value) in zip(said["rois"], sorted(VALUES.items(), key=lambda item: -item[1]), strict=True):
        mask = lesion_image(grid) == value
        assert same_corners(np.array(roi["corners_ras"]) * [-1, -1, 1], edges(mask, grid))
        assert roi["label"] == f"{label} {value / 1000:.2f}"
        # The module gives names of its own to the nodes; what was measured stays in the description.
        assert roi["name"].startswith("Detection ROI")
        assert f"score: {value / 1000:g}" in roi["description"]
        assert f"lesion volume: {mask.sum() * grid.voxel_volume / 1000:.4g} mL" in roi["description"]
