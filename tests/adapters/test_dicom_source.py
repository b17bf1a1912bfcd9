"""Series as images: converted once, kept within a limit, and never taken away from who reads them."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import SimpleITK as sitk

from tests.dicom.phantoms import GRIDS, sample, write_dicom_series
from tests.serving import config_for
from tumorseg.adapters.dicom_source import DicomSource
from tumorseg.dicom.store.folder import FolderStore

STUDIES = ("1.2.3.1", "1.2.3.2", "1.2.3.3")


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    for number, study in enumerate(STUDIES):
        write_dicom_series(
            tmp_path / "studies" / str(number),
            GRIDS["axial"],
            sample(GRIDS["axial"]),
            StudyInstanceUID=study,
            SeriesInstanceUID=f"{study}.9",
            SeriesDescription="FLAIR",
        )
    return tmp_path / "studies"


def age(folder: Path) -> None:
    """Let everything converted so far have been used an hour ago."""
    for entry in folder.iterdir():
        os.utime(entry, (time.time() - 3600,) * 2)


def test_converted_images_stay_within_the_limit(studies: Path, tmp_path: Path) -> None:
    source = DicomSource.open(config_for(studies, tmp_path, disk_cache_mb=0))
    first = source.local_file(f"{STUDIES[0]}.9")
    assert sitk.ReadImage(str(first)).GetSize() == tuple(reversed(GRIDS["axial"].shape))
    second = source.local_file(f"{STUDIES[1]}.9")
    assert first.is_file()  # asked for a moment ago: somebody may be about to read it
    assert second.is_file()
    age(tmp_path / "cache" / "images")
    third = source.local_file(f"{STUDIES[2]}.9")
    assert [path.is_file() for path in (first, second, third)] == [False, False, True]
    assert source.cached_bytes()["disk_images"] == third.stat().st_size
    assert source.local_file(f"{STUDIES[0]}.9") == first
    assert first.is_file()


def test_a_series_that_changed_is_converted_anew(studies: Path, tmp_path: Path) -> None:
    source = DicomSource.open(config_for(studies, tmp_path))
    first = source.local_file(f"{STUDIES[0]}.9")
    assert source.local_file(f"{STUDIES[0]}.9") == first
    for file in (studies / "0").iterdir():
        os.utime(file, ns=(1, 1))
    assert source.local_file(f"{STUDIES[0]}.9") != first


def test_a_series_that_changed_has_another_state_and_no_other_study_does(studies: Path, tmp_path: Path) -> None:
    source = DicomSource.open(config_for(studies, tmp_path))
    ids = source.ids()
    before = source.states(ids)
    assert set(before) == set(ids)
    assert source.states([*ids, "1.2.3.4"]) == before
    for file in (studies / "0").iterdir():
        os.utime(file, ns=(1, 1))
    assert isinstance(source.store, FolderStore)
    source.store.refresh(force=True)
    after = source.states(ids)
    assert [image for image in ids if after[image] != before[image]] == [f"{STUDIES[0]}.9"]
    assert DicomSource.open(config_for(studies, tmp_path)).states(ids) == after  # the same in every process


def test_another_sequence_of_the_study_changes_the_state_of_the_image(studies: Path, tmp_path: Path) -> None:
    """What a model sees are all sequences of the study."""
    source = DicomSource.open(config_for(studies, tmp_path))
    before = source.states(source.ids())
    write_dicom_series(
        studies / "more",
        GRIDS["axial"],
        sample(GRIDS["axial"]),
        StudyInstanceUID=STUDIES[1],
        SeriesInstanceUID=f"{STUDIES[1]}.8",
        SeriesDescription="T1",
    )
    assert isinstance(source.store, FolderStore)
    source.store.refresh(force=True)
    after = source.states(source.ids())
    assert [image for image in before if after[image] != before[image]] == [f"{STUDIES[1]}.9"]
