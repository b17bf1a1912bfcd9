"""Segmentations that Slicer's core writes: overlapping segments, cropped or not, lie where they were drawn."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.dicom.phantoms import GRIDS, sample, write_nifti
from tests.serving import tumour_mask
from tumorseg.io.write import write_segmentation
from tumorseg.labels.agreement import masks_of
from tumorseg.labels.checks import check_label
from tumorseg.types import Segmentation

SCRIPT = Path(__file__).with_name("slicer_segmentation.py")
SAID = {"label_info": [{"name": "tumor", "idx": 1}, {"name": "oedema", "idx": 2}]}


def saved(folder: Path, name: str, masks: dict[str, NDArray[np.bool_]], crop: bool) -> Path:
    """Let Slicer save the masks as segments over the phantom."""
    if importlib.util.find_spec("slicer") is None:
        pytest.skip("slicer-core is not installed (PyPI has it for Python up to 3.12)")
    grid = GRIDS[name]
    volume, out = write_nifti(folder / "image.nii.gz", grid, sample(grid)), folder / "label.seg.nrrd"
    files = []
    for segment, mask in masks.items():
        file = write_segmentation(folder / f"{segment}.nii.gz", Segmentation(mask.astype(np.uint8), grid, {}))
        files.append(f"{segment}={file}")
    command = [sys.executable, str(SCRIPT), str(volume), str(int(crop)), str(out), *files]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return out


@pytest.mark.parametrize(
    ("name", "overlap", "crop"),
    [("oblique", True, False), ("permuted oblique", True, True), ("flipped slices", False, True)],
)
def test_segments_lie_where_they_were_drawn(name: str, overlap: bool, crop: bool, tmp_path: Path) -> None:
    tumour = tumour_mask(GRIDS[name])
    oedema = np.roll(tumour, 2, axis=1)
    masks = {"tumor": tumour, "oedema": oedema if overlap else oedema & ~tumour}
    file = saved(tmp_path, name, masks, crop)
    checked = check_label(file, GRIDS[name], SAID, classes={"tumor": None, "oedema": None})
    assert not checked.empty
    found = masks_of(file, {}, GRIDS[name])
    for segment, mask in masks.items():
        assert np.array_equal(found[segment], mask), segment
