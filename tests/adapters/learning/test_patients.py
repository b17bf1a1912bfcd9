"""Whose an image is: what may be one patient is one, a flat data set is many."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tumorseg.adapters.learning.patients import Patients
from tumorseg.adapters.sources import ImageEntry


def patients(*images: str, among: Sequence[str] = ()) -> list[str]:
    named = Patients(among)
    return [named.of(ImageEntry(image, image)) for image in images]


@pytest.mark.parametrize(
    ("image", "info", "patient"),
    [
        ("1.2.3", {"PatientID": "LGG-7", "StudyInstanceUID": "1.2"}, "LGG-7"),
        ("1.2.3", {"PatientID": "", "StudyInstanceUID": "1.2"}, "1.2"),
        ("p1", {"PatientID": "LGG-7"}, "LGG-7"),
    ],
)
def test_dicom_says_who_it_is(image: str, info: dict[str, str], patient: str) -> None:
    assert Patients([]).of(ImageEntry(image, image, info)) == patient


@pytest.mark.parametrize(
    ("image", "patient"),
    [
        ("sub-01__ses-2__sub-01_ses-2_FLAIR", "sub-01"),
        ("sub-01_FLAIR", "sub-01"),
        ("case_7", "case_7"),
        ("subject-3", "subject-3"),
        ("BraTS_001_flair", "BraTS_001"),
        ("BraTS_001_T1ce", "BraTS_001"),
        ("BraTS20_Training_001_flair", "BraTS20_Training_001"),
        ("BraTS2021_00495_t1", "BraTS2021_00495"),
        ("Brats18_TCIA01_201_1_flair", "Brats18_TCIA01_201"),
        ("a__BraTS_001__BraTS_001_t1", "BraTS_001"),
        ("MICCAI_TrainingData__BraTS20_Training_001__BraTS20_Training_001_t1", "BraTS20_Training_001"),
        ("UPENN-GBM-00001_11_FLAIR", "UPENN-GBM-00001"),
        ("p1__flair", "p1"),
        ("TCGA_CS_4941__TCGA_CS_4941_12", "TCGA_CS_4941"),
        ("images__case_7", "case_7"),
        ("images__case_7_t2", "case_7"),
        ("images__007", "007"),
        ("001__flair", "001"),
        ("site_a__001", "site_a__001"),
        ("site2_013", "site2_013"),
        ("case_2024_001", "case_2024_001"),
        ("100206_T1", "100206"),
        ("19960909", "19960909"),
        ("slice_3", "slice_3"),
        ("images__slice_3", "images__slice_3"),
        ("t1", "t1"),
    ],
)
def test_a_name_says_who_it_is(image: str, patient: str) -> None:
    assert patients(image) == [patient]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("p1__2020__flair", "p1__2021__flair"),
        ("2020__p1", "2021__p1"),
        ("p1__slice_1", "p1__slice_2"),
        ("p1__001", "p1__002"),
        ("p1__p1_3", "p1__p1_4"),
        ("p1_3", "p1_4"),
        ("p1__axial", "p1__p12"),
        ("flair__p1", "t1__p1"),
        ("train__p1", "test__p1"),
        ("BraTS-GLI-00005-000-t2f", "BraTS-GLI-00005-001-t2f"),
        (
            "BraTS-GLI-00005-000__BraTS-GLI-00005-000-t2f",
            "BraTS-GLI-00005-001__BraTS-GLI-00005-001-t2f",
        ),
        ("TCGA_CS_4941_19960909_11", "TCGA_CS_4941_19960909_12"),
        ("kaggle_3m__TCGA_CS_4941_19960909__TCGA_CS_4941_19960909_1", "TCGA_CS_4941_19970101_2"),
        ("Patient-001__week-000-1__T1", "Patient-001__week-012-1__FLAIR"),
        ("miller_20200131", "miller_20210131_t2"),
        ("miller-ses-02_t1", "miller_ses-01_flair"),
        ("miller__axial", "miller__003"),
    ],
)
def test_two_images_of_one_patient_are_one_patient(one: str, other: str) -> None:
    first, second = patients(one, other)
    assert first == second


def test_a_folder_that_holds_every_image_is_a_data_set_and_one_of_several_may_be_a_patient() -> None:
    flat = ["glioma__001", "glioma__002", "glioma__003"]
    assert len(set(patients(*flat, among=flat))) == 3
    assert len(set(patients(*flat, among=[*flat, "miller__001"]))) == 1
    assert patients("glioma__miller__001", among=["glioma__miller__001", "glioma__smith__001"]) == ["miller"]
    named = ["p1__001", "p1__002"]
    assert set(patients(*named, among=named)) == {"p1"}
    sequences = ["mydata__flair", "mydata__t1"]
    assert set(patients(*sequences, among=sequences)) == {"mydata"}
