"""A labelled DICOM study as training sees it: whatever series was labelled, the mask lies on the lesion."""

from __future__ import annotations

from pathlib import Path

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
