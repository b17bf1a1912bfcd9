"""The sample data is valid, complete and lies where it says."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "sample_data"
SERIES = {"1_T1": "T1", "2_FLAIR": "FLAIR", "3_T1_post_contrast": "T1 post contrast"}
SLICES = 23


def headers(folder: str) -> list[pydicom.Dataset]:
    return [pydicom.dcmread(f, stop_before_pixels=True) for f in sorted((SAMPLE / "lgg_dicom" / folder).iterdir())]


def volume(folder: str) -> sitk.Image:
    return sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(SAMPLE / "lgg_dicom" / folder)))


def test_it_is_small() -> None:
    assert sum(f.stat().st_size for f in SAMPLE.rglob("*") if f.is_file()) < 5 * 2**20


def test_every_file_is_valid_dicom() -> None:
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy (Debian: dicom3tools) is not installed")
    files = sorted((SAMPLE / "lgg_dicom").rglob("*.dcm"))
    assert len(files) == len(SERIES) * SLICES
    for path in files:
        report = subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False).stderr
        errors = [line for line in report.splitlines() if line.startswith("Error")]
        assert not errors, f"{path.name}: {errors}"
        assert "MRImage" in report


def test_one_study_of_three_series_on_one_grid() -> None:
    studies = {folder: headers(folder) for folder in SERIES}
    every = [header for series in studies.values() for header in series]
    assert len({h.StudyInstanceUID for h in every}) == len({h.FrameOfReferenceUID for h in every}) == 1
    assert len({h.SeriesInstanceUID for h in every}) == 3
    assert len({h.SOPInstanceUID for h in every}) == 3 * SLICES
    for folder, description in SERIES.items():
        assert {h.SeriesDescription for h in studies[folder]} == {description}
        assert [float(h.ImagePositionPatient[2]) for h in studies[folder]] == [5.0 * n - 55.0 for n in range(SLICES)]
    assert {"ContrastBolusAgent" in h for h in studies["3_T1_post_contrast"]} == {True}
    assert {"ContrastBolusAgent" in h for h in studies["1_T1"] + studies["2_FLAIR"]} == {False}


def test_it_says_that_it_is_derived_and_whose_it_is() -> None:
    for header in headers("2_FLAIR"):
        assert list(header.ImageType[:2]) == ["DERIVED", "SECONDARY"]
        assert "NOMINAL, not measured" in header.DerivationDescription
        assert "CC BY-NC-SA 4.0" in header.DerivationDescription
        assert header.PatientIdentityRemoved == "YES"


def test_the_patient_was_not_trained_on() -> None:
    split = json.loads((ROOT / "lib" / "tumorseg" / "training" / "splits" / "lgg.json").read_text())
    patient = headers("1_T1")[0].PatientID.replace("-", "_")
    assert [p for p in split["test"] if p.startswith(patient)]
    assert not [p for p in split["train"] + split["validation"] if p.startswith(patient)]


def test_the_truth_lies_on_the_study_and_on_the_bright_part_of_the_flair() -> None:
    flair, truth = volume("2_FLAIR"), sitk.ReadImage(str(SAMPLE / "expected" / "lgg_truth.nii.gz"))
    assert flair.GetSize() == truth.GetSize() == (256, 256, SLICES)
    assert np.allclose(flair.GetOrigin(), truth.GetOrigin(), atol=1e-4)
    assert np.allclose(flair.GetDirection(), truth.GetDirection(), atol=1e-6)
    assert np.allclose(flair.GetSpacing(), truth.GetSpacing(), atol=1e-5)
    grey, mask = sitk.GetArrayFromImage(flair), sitk.GetArrayFromImage(truth) > 0
    assert mask.sum() == 21049
    assert grey[mask].mean() > 1.5 * grey[(grey > 20) & ~mask].mean()
    for flipped in (mask[::-1], mask[:, ::-1], mask[:, :, ::-1]):
        assert grey[flipped].mean() < 0.95 * grey[mask].mean()  # no other way round fits as well


def test_the_default_models_answer_is_stored_on_the_same_grid() -> None:
    path = SAMPLE / "expected" / "lgg_default.nii.gz"
    if not path.exists():
        pytest.skip("lgg_default.nii.gz is written by `make sample-expected` once there are weights")
    truth, stored = sitk.ReadImage(str(SAMPLE / "expected" / "lgg_truth.nii.gz")), sitk.ReadImage(str(path))
    assert stored.GetSize() == truth.GetSize()
    assert np.allclose(stored.GetOrigin(), truth.GetOrigin(), atol=1e-3)
    a, b = (sitk.GetArrayFromImage(image) > 0 for image in (truth, stored))
    assert 2 * (a & b).sum() / (a.sum() + b.sum()) > 0.7


def test_the_glioblastoma_mask_lies_on_its_volume() -> None:
    scan = sitk.ReadImage(str(SAMPLE / "btp" / "btp03_t1_post_contrast.nii.gz"))
    mask = sitk.ReadImage(str(SAMPLE / "expected" / "btp03_truth.nii.gz"))
    assert scan.GetSize() == mask.GetSize() == (256, 256, 24)
    assert scan.GetOrigin() == mask.GetOrigin()
    grey, inside = sitk.GetArrayFromImage(scan), sitk.GetArrayFromImage(mask) > 0
    assert inside.sum() == 2504
    assert grey[inside].mean() > 2 * grey[grey > 0].mean()


def test_the_readme_lists_every_file() -> None:
    text = (SAMPLE / "README.md").read_text() + (SAMPLE / "LICENSES.md").read_text()
    for path in (*(SAMPLE / "expected").iterdir(), *(SAMPLE / "btp").iterdir()):
        assert path.name in text, f"{path.name} is not in sample_data/README.md"


def test_the_script_writes_the_same_study_again(tmp_path: Path) -> None:
    data = os.environ.get("TUMORSEG_DATA")
    if not data or not (Path(data) / "lgg_to_kaggle_layout.py").exists():
        pytest.skip("TUMORSEG_DATA does not name a folder with the LGG data and lgg_to_kaggle_layout.py")
    patient = "TCGA_HT_8563_19981209"
    for command in (
        [Path(data) / "lgg_to_kaggle_layout.py", tmp_path / "kaggle_3m", patient],
        [SAMPLE / "make_sample_data.py", tmp_path / "kaggle_3m", "--out", tmp_path / "out"],
    ):
        subprocess.run([sys.executable, *command], check=True, capture_output=True)
    for stored in sorted((SAMPLE / "lgg_dicom").rglob("*.dcm")):
        written = tmp_path / "out" / stored.relative_to(SAMPLE)
        first, second = pydicom.dcmread(stored), pydicom.dcmread(written)
        assert np.array_equal(first.pixel_array, second.pixel_array)
        del first.PixelData, second.PixelData  # the encoder's version may differ
        assert first == second
    truth = [sitk.ReadImage(str(folder / "expected" / "lgg_truth.nii.gz")) for folder in (SAMPLE, tmp_path / "out")]
    assert np.array_equal(*map(sitk.GetArrayFromImage, truth))
