"""Folders of NIfTI images and masks."""

import nibabel as nib
import numpy as np
import pytest

from tumorseg.errors import InputError, NotFoundError
from tumorseg.io.datasets import open_dataset
from tumorseg.io.kaggle_3m import Kaggle3m
from tumorseg.io.pairs import NiftiPairs


def write(path, value, shape=(5, 6, 7), affine=None, dtype=np.float32):
    path.parent.mkdir(parents=True, exist_ok=True)
    voxels = np.full(shape, value, dtype)
    voxels[0, 0, 0] = 0
    nib.save(nib.Nifti1Image(voxels, np.diag([1.0, 1.0, 5.0, 1.0]) if affine is None else affine), path)


def test_an_image_beside_its_mask(tmp_path):
    write(tmp_path / "b.nii.gz", 3)
    write(tmp_path / "b_mask.nii.gz", 2, dtype=np.uint8)
    write(tmp_path / "a.nii", 4)
    write(tmp_path / "a_seg.nii", 1, dtype=np.uint8)
    write(tmp_path / "alone.nii", 1)
    cases = NiftiPairs(tmp_path)
    assert cases.patients == ("a", "b")
    image, truth = cases[1].image, cases[1].truth
    assert image.voxels.shape == (1, 7, 6, 5)
    assert image.spacing_known
    assert image.grid.spacing == (1.0, 1.0, 5.0)
    assert set(np.unique(truth.voxels)) == {0, 1}
    assert truth.voxels.sum() == 5 * 6 * 7 - 1


def test_the_sequences_of_a_patient_are_channels(tmp_path):
    for n, name in enumerate(("flair", "t1", "t1ce", "t2")):
        write(tmp_path / "P1" / f"P1_{name}.nii.gz", n + 1)
    write(tmp_path / "P1" / "P1_seg.nii.gz", 4, dtype=np.uint8)
    (case,) = NiftiPairs(tmp_path)
    assert case.id == "P1/P1"
    assert case.image.channels == ("FLAIR", "T1", "T1Gd", "T2")
    assert [case.image.channel(name)[1, 1, 1] for name in case.image.channels] == [1, 2, 3, 4]


def test_images_and_labels_in_two_folders(tmp_path):
    write(tmp_path / "images" / "x.nii.gz", 5)
    write(tmp_path / "labels" / "x.nii.gz", 1, dtype=np.uint8)
    assert NiftiPairs(tmp_path).patients == ("x",)


def test_several_dates_of_a_patient_keep_apart(tmp_path):
    for date in ("Pre", "Post"):
        write(tmp_path / "01" / f"{date}_Scan_T1.nii.gz", 5)
        write(tmp_path / "01" / f"{date}_Mask.nii.gz", 1, dtype=np.uint8)
    assert NiftiPairs(tmp_path).patients == ("01/Post", "01/Pre")


def test_an_image_on_another_grid_comes_to_the_mask(tmp_path):
    write(tmp_path / "a_flair.nii.gz", 7, shape=(10, 12, 7), affine=np.diag([0.5, 0.5, 5.0, 1.0]))
    write(tmp_path / "a_mask.nii.gz", 1, dtype=np.uint8)
    (case,) = NiftiPairs(tmp_path)
    assert case.image.voxels.shape == (1, 7, 6, 5)
    assert case.image.voxels[0, 3, 3, 3] == pytest.approx(7)


def test_patients_can_be_chosen_and_must_be_there(tmp_path):
    for name in "abc":
        write(tmp_path / f"{name}.nii", 1)
        write(tmp_path / f"{name}_mask.nii", 1)
    assert [case.id for case in NiftiPairs(tmp_path, ["c", "a"])] == ["c", "a"]
    with pytest.raises(NotFoundError, match="z"):
        NiftiPairs(tmp_path, ["z"])


def test_the_layout_is_found_by_looking(tmp_path):
    from tests.io.test_kaggle_3m import write_patient

    write_patient(tmp_path / "k", "TCGA_A_1", [1])
    write(tmp_path / "n" / "a.nii", 1)
    write(tmp_path / "n" / "a_mask.nii", 1)
    (tmp_path / "e").mkdir()
    assert isinstance(open_dataset(tmp_path / "k"), Kaggle3m)
    assert isinstance(open_dataset(tmp_path / "n"), NiftiPairs)
    with pytest.raises(InputError, match="no labelled patients of a known layout"):
        open_dataset(tmp_path / "e")
    with pytest.raises(NotFoundError, match="no folder"):
        open_dataset(tmp_path / "nowhere")
    (tmp_path / "n" / "a_mask.nii").write_bytes(b"")
    with pytest.raises(InputError):
        open_dataset(tmp_path / "n")[0]
