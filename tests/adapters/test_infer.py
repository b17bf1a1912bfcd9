"""A detection model as MONAI Label's own server asks it. Importing that server's interfaces imports all of MONAI."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.dicom.phantoms import GRIDS, write_nifti
from tests.lesions import VALUES, lesion_image
from tests.serving import config_for, read_label
from tumorseg.adapters.engine import Engine
from tumorseg.adapters.sources import FileSource


@pytest.mark.timeout(300)
def test_boxes_and_masks_come_as_files_of_their_kind(tmp_path: Path) -> None:
    from tumorseg.adapters.infer import ModelTask

    grid = GRIDS["oblique"]
    write_nifti(tmp_path / "studies" / "case1.nii.gz", grid, lesion_image(grid))
    engine = Engine(config_for(tmp_path / "studies", tmp_path, models="blobs"), FileSource(tmp_path / "studies"))
    task = ModelTask(engine, "blobs")
    assert task.type.value == task.info()["type"] == "detection"
    boxes, params = task({"image": "case1", "model": "blobs", "result_extension": ".nrrd", "boxes": True})
    assert boxes.endswith(".json")
    assert len(json.loads(Path(boxes).read_text())["markups"]) == len(params["detections"]) == len(VALUES)
    mask, _ = task({"image": "case1", "model": "blobs", "result_extension": ".nii.gz", "score": 0.7})
    assert mask.endswith(".nii.gz")
    voxels, _ = read_label(Path(mask))
    np.testing.assert_array_equal(voxels > 0, lesion_image(grid) == VALUES["tumor"])
    for file in (boxes, mask):
        Path(file).unlink()
