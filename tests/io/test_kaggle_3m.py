"""The public layout of the LGG data set."""

import numpy as np
import pytest
import tifffile

from tumorseg.errors import InputError, NotFoundError
from tumorseg.io.kaggle_3m import Kaggle3m


def write_patient(root, name, numbers, size=16, masks=True):
    folder = root / name
    folder.mkdir(parents=True)
    for number in numbers:
        picture = np.full((size, size, 3), (10, 20, 30), np.uint8) + np.uint8(number)
        tifffile.imwrite(folder / f"{name}_{number}.tif", picture, photometric="rgb")
        if masks:
            mask = np.zeros((size, size), np.uint8)
            mask[:number, 0] = 255
            tifffile.imwrite(folder / f"{name}_{number}_mask.tif", mask)
    return folder


def test_slices_are_ordered_by_number_and_channels_are_named(tmp_path):
    write_patient(tmp_path, "TCGA_AA_1_19990101", [10, 9, 2, 1])
    (tmp_path / "data.csv").write_text("Patient\n")
    case = Kaggle3m(tmp_path)[0]
    assert case.id == "TCGA_AA_1_19990101"
    assert case.image.voxels.shape == (3, 4, 16, 16)
    assert case.image.channels == ("T1", "FLAIR", "T1Gd")
    assert case.image.channel("FLAIR")[:, 0, 0].tolist() == [21, 22, 29, 30]
    assert case.truth.voxels.sum(axis=(1, 2)).tolist() == [1, 2, 9, 10]
    assert set(np.unique(case.truth.voxels)) == {0, 1}
    assert not case.image.spacing_known


def test_patients_can_be_chosen_and_must_exist(tmp_path):
    for name in ("TCGA_B_2", "TCGA_A_1", "TCGA_C_3"):
        write_patient(tmp_path, name, [1])
    assert [case.id for case in Kaggle3m(tmp_path)] == ["TCGA_A_1", "TCGA_B_2", "TCGA_C_3"]
    assert Kaggle3m(tmp_path, ["TCGA_C_3", "TCGA_A_1"]).patients == ("TCGA_C_3", "TCGA_A_1")
    with pytest.raises(NotFoundError, match="TCGA_X_9"):
        Kaggle3m(tmp_path, ["TCGA_X_9"])


def test_what_is_not_this_layout_is_said(tmp_path):
    with pytest.raises(NotFoundError, match="no folder"):
        Kaggle3m(tmp_path / "nowhere")
    with pytest.raises(InputError, match="expected folders of"):
        Kaggle3m(tmp_path)
    folder = write_patient(tmp_path, "TCGA_A_1", [1, 2])
    tifffile.imwrite(folder / "TCGA_A_1_3.tif", np.zeros((8, 8, 3), np.uint8), photometric="rgb")
    with pytest.raises(InputError, match="different sizes"):
        Kaggle3m(tmp_path)[0]
    (folder / "TCGA_A_1_3.tif").write_bytes(b"not a picture")
    with pytest.raises(InputError, match="expected a TIFF picture"):
        Kaggle3m(tmp_path)[0]
