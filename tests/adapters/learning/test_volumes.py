"""A labelled DICOM study as training sees it: whatever series was labelled, the mask lies on the lesion."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from tests import tiny
from tests.dicom.phantoms import GRIDS, TUMOUR, sample, write_dicom_series, write_nifti
from tumorseg.adapters.labels import LabelStore
from tumorseg.adapters.learning.cases import gather
from tumorseg.adapters.learning.shelf import Shelf
from tumorseg.adapters.learning.volumes import CaseReader
from tumorseg.adapters.sources import open_source
from tumorseg.config import AppConfig
from tumorseg.labels.types import Provenance
from tumorseg.metrics.overlap import dice
from tumorseg.metrics.pair import Pair
from tumorseg.versions.types import CaseUsed

SERIES = {"FLAIR": ("1.2.3.1", "axial"), "T1": ("1.2.3.2", "oblique")}


@pytest.fixture
def config(tmp_path: Path) -> AppConfig:
    """One patient, two series that lie across each other."""
    for name, (uid, grid) in SERIES.items():
        write_dicom_series(
            tmp_path / "studies" / name,
            GRIDS[grid],
            sample(GRIDS[grid]),
            StudyInstanceUID="1.2.3",
            SeriesInstanceUID=uid,
            FrameOfReferenceUID="1.2.4",
            SeriesDescription=name,
            PatientID="LGG-7",
        )
    return AppConfig(str(tmp_path / "studies"), cache=tmp_path / "cache", labels=tmp_path / "labels")


@pytest.mark.parametrize("labelled", SERIES)
def test_the_mask_lies_on_the_lesion_whichever_series_was_labelled(
    config: AppConfig, tmp_path: Path, labelled: str
) -> None:
    uid, name = SERIES[labelled]
    tumour = (sample(GRIDS[name]) == TUMOUR).astype(np.uint8)
    labels, source = LabelStore(tmp_path / "labels"), open_source(config)
    version = labels.save(uid, "final", write_nifti(tmp_path / "mask.nii.gz", GRIDS[name], tumour), {}, Provenance("a"))
    (case,) = gather(labels.history, source, {"tumour": 1}, "tiny").cases
    assert case.patient == "LGG-7"
    reader = CaseReader(source, labels.history, "tiny", tiny.SPEC)
    used = CaseUsed(uid, case.patient, "train", version.uid, version.sha256)
    study = reader.read(used)
    assert np.array_equal(study.mask, tumour > 0)
    assert study.grid.same_as(GRIDS[name])
    volume = reader.volumes([used], "none", 16, Shelf(tmp_path / "shelf", 0), lambda: None)[0][used]
    flair = volume.image[:, tiny.SPEC.channels.index("FLAIR")].astype(np.float32)
    bright = flair > (np.median(flair[volume.mask > 0]) + flair.max() / 2) / 2  # brighter than the cyst
    assert dice(Pair(volume.mask > 0, bright)) > 0.75
    labels.close()
    source.close()


def test_a_label_that_was_replaced_since_is_read_as_it_was(config: AppConfig, tmp_path: Path) -> None:
    uid, name = SERIES["FLAIR"]
    tumour = (sample(GRIDS[name]) == TUMOUR).astype(np.uint8)
    labels, source = LabelStore(tmp_path / "labels"), open_source(config)
    file = write_nifti(tmp_path / "mask.nii.gz", GRIDS[name], tumour)
    first = labels.save(uid, "final", file, {}, Provenance("a"))
    nibabel.save(nibabel.Nifti1Image(np.zeros(tumour.T.shape, np.uint8), nibabel.load(file).affine), file)
    labels.save(uid, "final", file, {}, Provenance("a"))
    reader = CaseReader(source, labels.history, "tiny", tiny.SPEC)
    assert reader.read(CaseUsed(uid, "LGG-7", "train", first.uid, first.sha256)).mask.sum() == tumour.sum()
    labels.close()
    source.close()


def test_a_series_beside_the_labelled_one_that_the_disk_does_not_give_leaves_out_its_patient_alone(
    config: AppConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, name in enumerate(SERIES):
        write_dicom_series(
            tmp_path / "studies" / f"other {name}",
            GRIDS["axial"],
            sample(GRIDS["axial"]),
            StudyInstanceUID="1.2.8",
            SeriesInstanceUID=f"1.2.8.{number}",
            SeriesDescription=name,
            PatientID="LGG-8",
        )
    labels, source = LabelStore(tmp_path / "labels"), open_source(config)
    mask = write_nifti(tmp_path / "mask.nii.gz", GRIDS["axial"], (sample(GRIDS["axial"]) == TUMOUR).astype(np.uint8))
    used = []
    for uid, patient in (("1.2.3.1", "LGG-7"), ("1.2.8.0", "LGG-8")):
        version = labels.save(uid, "final", mask, {}, Provenance("a"))
        used.append(CaseUsed(uid, patient, "train", version.uid, version.sha256))
    opened = Path.open

    def failing(path: Path, *how: Any, **more: Any) -> Any:
        if path.is_relative_to(tmp_path / "studies" / "T1"):
            raise OSError(errno.EIO, "Input/output error", str(path))
        return opened(path, *how, **more)

    monkeypatch.setattr(Path, "open", failing)  # no disk here can be made to fail
    assert len(gather(labels.history, source, {"tumour": 1}, "tiny").cases) == 2, "the labelled series are well"
    reader = CaseReader(source, labels.history, "tiny", tiny.SPEC)
    volumes, unfit = reader.volumes(used, "none", 16, Shelf(tmp_path / "shelf", 0), lambda: None)
    assert list(volumes) == used[1:]
    (left,) = unfit
    assert left.image == "1.2.3.1"
    assert "tiny cannot look at it: [Errno" in left.why
    labels.close()
    source.close()
