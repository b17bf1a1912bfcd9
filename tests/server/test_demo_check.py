"""The demo's check passes where the answer is right and fails where it is not; it runs the real server."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.dicom.phantoms import GRIDS, sample, write_dicom_series, write_nifti
from tests.serving import EXTRA_MODELS, ROOT, tumour_mask
from tumorseg.server import demo_check

GRID = GRIDS["oblique"]
SETTINGS = ["models=threshold", f"extra_models={EXTRA_MODELS}"]


@pytest.fixture
def sample_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A phantom laid out as ``sample_data`` is, with the true mask as the expected one."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    write_dicom_series(tmp_path / demo_check.STUDY / "2_FLAIR", GRID, sample(GRID), SeriesDescription="FLAIR")
    write_nifti(tmp_path / demo_check.EXPECTED, GRID, tumour_mask(GRID).astype(np.uint8))
    return tmp_path


def test_a_right_answer(sample_data: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert demo_check.main([str(sample_data), *SETTINGS]) == 0
    said = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert set(said) == {"dice", "ohif_ms", "slicer_ms", "first_ms"}
    assert said["dice"] == 1.0
    assert 0 < said["ohif_ms"] < said["first_ms"]
    assert not list(sample_data.rglob("labels"))


def test_a_mask_elsewhere(sample_data: Path, capfd: pytest.CaptureFixture[str]) -> None:
    mirrored = np.flip(tumour_mask(GRID), 2).astype(np.uint8)
    write_nifti(sample_data / demo_check.EXPECTED, GRID, np.ascontiguousarray(mirrored))
    assert demo_check.main([str(sample_data), *SETTINGS]) == 1
    assert json.loads(capfd.readouterr().out.splitlines()[-1])["dice"] < demo_check.MIN_DICE


def test_what_is_missing_is_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert demo_check.main([str(tmp_path)]) == 2
    assert "make sample-data" in capfd.readouterr().err


def test_a_server_that_cannot_start_is_no_hang(sample_data: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert demo_check.main([str(sample_data), "models=unet9"]) == 2
    assert "unknown model" in capfd.readouterr().err
