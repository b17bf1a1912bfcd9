from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from tests.dicom.phantoms import GRIDS, sample, write_nifti
from tests.serving import tumour_mask
from tumorseg.adapters.labels import LabelStore
from tumorseg.adapters.sources import FileSource
from tumorseg.adapters.volume_export import export_volumes, holds_volumes
from tumorseg.adapters.volume_store import import_volumes
from tumorseg.errors import InputError
from tumorseg.io import read_study
from tumorseg.io.kaggle_3m import Kaggle3m

GRID = GRIDS["oblique"]


@pytest.fixture
def kaggle(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for patient in ("TCGA_A", "TCGA_B"):
        folder = tmp_path / "kaggle_3m" / patient
        folder.mkdir(parents=True)
        for number in (3, 4, 11):
            pixels = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
            tifffile.imwrite(folder / f"{patient}_{number}.tif", pixels, photometric="rgb")
            if number != 11:
                mask = (rng.random((12, 16)) < 0.2).astype(np.uint8) * 255
                tifffile.imwrite(folder / f"{patient}_{number}_mask.tif", mask)
    return tmp_path / "kaggle_3m"


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    folder = tmp_path / "pairs"
    write_nifti(folder / "a" / "one.nii.gz", GRID, sample(GRID))
    write_nifti(folder / "a" / "one_mask.nii.gz", GRID, tumour_mask(GRID).astype(np.uint8))
    for sequence in ("flair", "t1", "t1ce"):
        write_nifti(folder / "two" / f"two_{sequence}.nii.gz", GRID, sample(GRID))
    write_nifti(folder / "two" / "two_seg.nii.gz", GRID, tumour_mask(GRID).astype(np.uint8) * 4)
    return folder


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_patients_of_kaggle_3m_come_back_slice_for_slice(kaggle: Path, tmp_path: Path) -> None:
    report = import_volumes("kaggle_3m", kaggle, tmp_path / "store")
    assert (report.images, report.labelled) == (2, 2)
    assert holds_volumes(tmp_path / "store")
    assert FileSource(tmp_path / "store").ids() == ["TCGA_A", "TCGA_B"]
    assert not export_volumes("kaggle_3m", tmp_path / "store", tmp_path / "out").notes
    assert files(tmp_path / "out") == files(kaggle)
    for name in files(kaggle):
        np.testing.assert_array_equal(tifffile.imread(tmp_path / "out" / name), tifffile.imread(kaggle / name))


def test_the_server_sees_the_same_voxels(kaggle: Path, tmp_path: Path) -> None:
    import_volumes("kaggle_3m", kaggle, tmp_path / "store")
    case = next(iter(Kaggle3m(kaggle)))
    image = read_study(tmp_path / "store" / "TCGA_A.nii.gz")
    np.testing.assert_array_equal(image.voxels, case.image.voxels)
    assert image.grid.same_as(case.image.grid)
    labels = LabelStore(tmp_path / "store" / "labels")
    assert case.truth is not None
    np.testing.assert_array_equal(read_study(labels.path("TCGA_A", "final")).voxels[0], case.truth.voxels)
    assert labels.info("TCGA_A", "final")["label_info"] == [{"name": "tumour", "idx": 1}]


def test_nifti_pairs_come_back_byte_for_byte(pairs: Path, tmp_path: Path) -> None:
    assert import_volumes("nifti_pairs", pairs, tmp_path / "store").images == 2
    assert FileSource(tmp_path / "store").ids() == ["a__one", "two__two"]
    assert len(read_study(tmp_path / "store" / "two__two.nii.gz").channels) == 3
    export_volumes("nifti_pairs", tmp_path / "store", tmp_path / "out")
    assert files(tmp_path / "out") == files(pairs)
    for name in files(pairs):
        assert (tmp_path / "out" / name).read_bytes() == (pairs / name).read_bytes()


def test_a_label_that_was_changed_is_what_is_exported(pairs: Path, tmp_path: Path) -> None:
    import_volumes("nifti_pairs", pairs, tmp_path / "store")
    drawn = np.zeros(GRID.shape, np.uint8)
    drawn[2, 3:5, 4:6] = 1
    label = write_nifti(tmp_path / "drawn.nii.gz", GRID, drawn)
    LabelStore(tmp_path / "store" / "labels").save("a__one", "final", label, {})
    report = export_volumes("nifti_pairs", tmp_path / "store", tmp_path / "out")
    assert [problem.kind for problem in report.notes] == ["label_changed"]
    np.testing.assert_array_equal(read_study(tmp_path / "out" / "a" / "one_mask.nii.gz").voxels[0], drawn)


def test_kaggle_3m_as_nifti_pairs(kaggle: Path, tmp_path: Path) -> None:
    import_volumes("kaggle_3m", kaggle, tmp_path / "store")
    export_volumes("nifti_pairs", tmp_path / "store", tmp_path / "out")
    assert files(tmp_path / "out") == [f"{name}.nii.gz" for name in ("TCGA_A", "TCGA_A_mask", "TCGA_B", "TCGA_B_mask")]


def test_refusals(kaggle: Path, pairs: Path, tmp_path: Path) -> None:
    import_volumes("nifti_pairs", pairs, tmp_path / "store")
    with pytest.raises(InputError, match="three channels of uint8"):
        export_volumes("kaggle_3m", tmp_path / "store", tmp_path / "out")
    with pytest.raises(InputError, match="can be exported as kaggle_3m or nifti_pairs, not as voc"):
        export_volumes("voc", tmp_path / "store", tmp_path / "out")
    bad = kaggle / "TCGA_A" / "TCGA_A_4.tif"
    bad.write_bytes(bad.read_bytes()[:100])
    with pytest.raises(InputError, match=r"TCGA_A_4\.tif"):
        import_volumes("kaggle_3m", kaggle, tmp_path / "half")
    assert not [path for path in tmp_path.iterdir() if path.name in ("out", "half") or path.name.endswith(".tmp")]
    report = import_volumes("kaggle_3m", kaggle, tmp_path / "half", skip_bad=True)
    assert (report.images, len(report.left_out)) == (1, 1)
