"""What a studies folder is, and which file an id means."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dicom.phantoms import GRIDS, sample, write_dicom_series, write_nifti
from tests.serving import config_for
from tumorseg.adapters.dicom_source import DicomSource
from tumorseg.adapters.sources import FileSource, ImageEntry, open_source
from tumorseg.errors import InputError, NotFoundError

GRID = GRIDS["axial"]


def test_files_in_folders_have_plain_ids(tmp_path: Path) -> None:
    root = tmp_path / "studies"
    for name in ("b.nii.gz", "p1/t1.nii", "labels/final/b.nii.gz", ".trash/x.nii.gz"):
        write_nifti(root / name, GRID, sample(GRID))
    (root / "notes.txt").write_text("not an image")
    source = open_source(config_for(root, tmp_path))
    assert isinstance(source, FileSource)
    assert source.ids() == ["b", "p1__t1"]
    assert source.entry("p1__t1").name == "p1__t1.nii"
    assert source.local_file("p1__t1") == root / "p1" / "t1.nii"


def test_a_link_does_not_lead_out(tmp_path: Path) -> None:
    root = tmp_path / "studies"
    secret = write_nifti(tmp_path / "secret.nii.gz", GRID, sample(GRID))
    write_nifti(root / "a.nii.gz", GRID, sample(GRID))
    (root / "b.nii.gz").symlink_to(secret)
    source = open_source(config_for(root, tmp_path))
    assert source.ids() == ["a"]
    with pytest.raises(NotFoundError):
        source.local_file("b")


def test_dicom_beside_other_files_is_served_as_dicom(tmp_path: Path) -> None:
    root = tmp_path / "studies"
    write_nifti(root / "a.nii.gz", GRID, sample(GRID))
    write_dicom_series(root / "z", GRID, sample(GRID), SeriesDescription="FLAIR")
    source = open_source(config_for(root, tmp_path))
    assert isinstance(source, DicomSource)
    (uid,) = source.ids()
    assert source.local_file(uid) == source.local_file(uid)
    assert tmp_path / "cache" in source.local_file(uid).parents
    assert not list(root.rglob("*.nrrd"))
    source.close()


def test_one_series_of_a_study_is_offered_and_every_one_is_found(tmp_path: Path) -> None:
    uids = {"StudyInstanceUID": "1.2.3", "FrameOfReferenceUID": "1.2.4"}
    for number, name in enumerate(("T1", "AX FLAIR", "T2"), 1):
        series = {"SeriesDescription": name, "SeriesInstanceUID": f"1.2.3.{number}", **uids}
        write_dicom_series(tmp_path / "studies" / name, GRID, sample(GRID), **series)
    source = open_source(config_for(tmp_path / "studies", tmp_path))
    assert source.ids() == ["1.2.3.2"]
    assert source.entry("1.2.3.3").info["StudyInstanceUID"] == "1.2.3"
    assert len(source.files("1.2.3.1")) == 3 * GRID.shape[0]
    with pytest.raises(NotFoundError):
        source.entry("1.2.3.4")
    source.close()


@pytest.mark.parametrize("name", ["", "../x", "/etc/x", "a\\b", ".x", "a\0"])
def test_an_id_can_be_a_file_name(name: str) -> None:
    with pytest.raises(InputError):
        ImageEntry(name, "x")
